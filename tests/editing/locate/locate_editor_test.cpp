#include "editing/locate/locate_editor.h"

#include "core/base/interrupt.h"
#include "editing/locate/residual_site.h"
#include "editing/locate/weight_writer.h"
#include "tests/editing/editor_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <gmock/gmock.h>

namespace errata::editing {
namespace {

using testing_support::digest;
using testing_support::EditingFixture;
using testing_support::expect_error;

class LocateEditorTest : public testing_support::SeedingTest {
 protected:
  torch::Tensor changes(const EditorOptions& options, const ProgressCallback& progress = {}) {
    const EditResult result =
        make_editor(options.method)->edit(fixture_.model, fixture_.input(), options, progress);
    std::vector<torch::Tensor> all;
    for (const std::string& module : result.adapter->modules()) {
      all.push_back(result.adapter->delta(module).flatten());
    }
    return torch::cat(all);
  }

  EditingFixture fixture_;
};

TEST_F(LocateEditorTest, LayersAreThoseOfTheMethodOrTheUsers) {
  const auto modules = [&](EditorOptions options, const std::string& layers) {
    options.layers = layers;
    return make_editor(options.method)->modules(fixture_.model, options);
  };
  EXPECT_THAT(
      modules(fixture_.options("memit"), ""), testing::ElementsAre("model.layers.0.mlp.down_proj"));
  EXPECT_THAT(
      modules(fixture_.options("alphaedit"), "0-1"),
      testing::ElementsAre("model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"));
  expect_error(ErrorCode::kInvalidArgument, {"--method rome", "one layer", "names 2"}, [&] {
    modules(fixture_.options("rome"), "0-1");
  });
}

TEST_F(LocateEditorTest, TheSameSeedGivesTheSameBytesAndAnInterruptLeavesTheBase) {
  for (const char* method : {"rome", "memit", "alphaedit"}) {
    EditorOptions options = fixture_.options(method);
    const std::string base = digest(fixture_.model);
    const torch::Tensor once = changes(options);
    EXPECT_TRUE(torch::equal(changes(options), once)) << method;
    options.seed = 1; // other contexts
    EXPECT_FALSE(torch::equal(changes(options), once)) << method;
    expect_error(ErrorCode::kInterrupted, {"stopped by the user"}, [&] {
      changes(options, [](const Progress& progress) { set_interrupted(progress.done >= 5); });
    });
    set_interrupted(false);
    EXPECT_EQ(digest(fixture_.model), base) << method;
  }
}

// Where there is room for all keys: the outputs at the subjects are then those that were found.
TEST_F(LocateEditorTest, WhatWasFoundIsWhatTheModelGives) {
  for (const DecoderConfig& family :
       {testing_support::tiny_llama(), testing_support::tiny_gemma3()}) {
    DecoderConfig config = family;
    config.vocab_size = fixture_.tokenizer->vocab_size();
    Decoder model = testing_support::random_decoder(config, torch::kFloat64);
    const auto requests = testing_support::capital_requests(1);
    const auto problems = value_problems({requests[0], requests[4]}, {}, *fixture_.tokenizer);
    const std::vector<ResidualSite> sites{{model, 0}};
    const std::map<std::string, InputMoment> moments{
        {sites[0].module(), {torch::eye(config.intermediate_size, torch::kFloat64), {}}}};
    for (const std::string method : {"rome", "memit"}) {
      SCOPED_TRACE(concat(config.model_type, ' ', method));
      EditorOptions options = default_options(method);
      options.moment_weight = 1e-9;
      ValueOptions values;
      values.site = method == "rome" ? ValueSite::kMatrix : ValueSite::kLayer;
      values.clamp = 0.3;
      values.lr = 0.05;
      values.weight_decay = 0;
      ValueOptions as_it_is = values;
      as_it_is.steps = 1;
      WeightWriter writer(model, sites, options, /*contexts=*/0, moments);
      const std::span<const ValueProblem> part =
          std::span(problems).first(method == "rome" ? 1 : problems.size());
      const torch::Tensor before = optimise_values(model, sites[0], part, as_it_is).loss;
      const Values found = optimise_values(model, sites[0], part, values);
      EXPECT_TRUE((found.loss < before - 1e-3).all().item<bool>()) << before << found.loss;
      writer.write(part, found);
      const Values now = optimise_values(model, sites[0], part, as_it_is);
      if (method == "rome") {
        EXPECT_TRUE(torch::allclose(now.matrix, found.matrix, 1e-4, 1e-5));
      } else if (!config.sandwich_norms) {
        EXPECT_TRUE(torch::allclose(now.layer, found.layer, 1e-4, 1e-5));
        EXPECT_LT(writer.missing_share(), 1e-3);
      } else { // a norm lets the direction through
        EXPECT_GT(writer.missing_share(), 1e-3);
        EXPECT_LT(writer.missing_share(), 0.9);
      }
    }
  }
}

TEST_F(LocateEditorTest, BatchesAreWrittenOneAfterTheOther) {
  for (const char* method : {"memit", "alphaedit"}) {
    EditorOptions options = fixture_.options(method);
    const torch::Tensor at_once = changes(options);
    options.batch_size = 10;
    EXPECT_TRUE(torch::equal(changes(options), at_once)) << method << ": there are ten";
    options.batch_size = 4;
    const torch::Tensor by_four = changes(options);
    EXPECT_FALSE(torch::allclose(by_four, at_once, 1e-3, 1e-5)) << method;
    EXPECT_LT(by_four.norm().item<double>(), 10 * at_once.norm().item<double>()) << method;
  }
}

TEST_F(LocateEditorTest, WithoutStatisticsOnlyRomeWorks) {
  EditInput input = fixture_.input();
  input.rehearsal = {};
  EditorOptions options = fixture_.options("rome");
  EXPECT_NO_THROW(make_editor("rome")->edit(fixture_.model, input, options));
  options = fixture_.options("memit");
  expect_error(ErrorCode::kInvalidArgument, {"--method memit", "--stats-text"}, [&] {
    make_editor("memit")->edit(fixture_.model, input, options);
  });
}

TEST_F(LocateEditorTest, ANullSpaceWithNothingInItIsRefused) {
  EditorOptions options = fixture_.options("alphaedit");
  options.null_threshold = 1e-12;
  expect_error(ErrorCode::kInvalidArgument, {"layers.0.mlp.down_proj", "the smallest is"}, [&] {
    changes(options);
  });
}

// What is asked of a matrix behind a norm points where the stream is to go.
TEST_F(LocateEditorTest, ResidualsBehindANormPointWhereTheyShould) {
  const ResidualSite site(fixture_.model, 1);
  const torch::Tensor y = torch::randn({4, 16});
  const torch::Tensor change = torch::randn({4, 16}) * 0.01;
  const torch::Tensor moved = site.added(y + site.needed(y, change)) - site.added(y);
  // Less what the norm takes from the length: along what is added already.
  const torch::Tensor added = site.added(y);
  const torch::Tensor wanted = site.added(y) + change;
  const torch::Tensor cosine = torch::cosine_similarity(added + moved, wanted, -1);
  EXPECT_TRUE(torch::allclose(cosine, torch::ones({4}), 1e-5, 1e-5));
  EXPECT_GT(torch::cosine_similarity(moved, change, -1).min().item<double>(), 0.5);
}

} // namespace
} // namespace errata::editing
