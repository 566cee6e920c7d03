// ROME, MEMIT and AlphaEdit as their authors' code computes them in float64 (ERRATA_DATA_DIR,
// goldens/).

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/generation.h"
#include "core/model.h"
#include "core/safetensors.h"
#include "editing/editor.h"
#include "editing/locate/closed_form.h"
#include "editing/locate/weight_writer.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace errata::editing {
namespace {

namespace fs = std::filesystem;

double difference(const torch::Tensor& found, const torch::Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

class GoldensTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("ERRATA_DATA_DIR");
    if (data == nullptr) {
      GTEST_SKIP() << "ERRATA_DATA_DIR is not set: the authors' values are not here";
    }
    directory_ = data;
    LoadOptions options;
    options.dtype = torch::kFloat64;
    options.hash = false;
    model_ = load_model(directory_ / "stories260k/hf", options).decoder;
  }

  void open(const std::string& name) {
    file_ = std::make_unique<SafetensorsFile>(directory_ / "goldens" / (name + ".safetensors"));
  }
  torch::Tensor golden(const std::string& name) const { return file_->tensor(name).clone(); }

  // The rows that the authors' code ran: one behind each context, then "<subject> is a".
  ValueProblem problem(const std::string& name) const {
    const torch::Tensor ids = golden(name + ".input_ids").to(torch::kInt32);
    const torch::Tensor lengths = golden(name + ".attention_mask").sum(1);
    const torch::Tensor lookup = golden(name + ".lookup_idx");
    const torch::Tensor target = golden(name + ".target_ids").to(torch::kInt32);
    ValueProblem problem;
    for (std::int64_t i = 0; i < ids.size(0); ++i) {
      LocatedPrompt row;
      const torch::Tensor tokens = ids[i].narrow(0, 0, lengths[i].item<std::int64_t>());
      row.tokens.assign(
          tokens.data_ptr<std::int32_t>(), tokens.data_ptr<std::int32_t>() + tokens.numel());
      row.subject_last = lookup[i].item<std::int64_t>();
      row.first_label = row.rows();
      if (i + 1 == ids.size(0)) {
        problem.about = row;
        continue;
      }
      row.tokens.push_back(target[-1].item<std::int32_t>());
      row.first_label = row.rows() - target.size(0);
      problem.prompts.push_back(row);
    }
    return problem;
  }

  std::vector<ValueProblem> problems(const std::string& prefix, int first, int last) const {
    std::vector<ValueProblem> all;
    for (int i = first; i < last; ++i) {
      all.push_back(problem(concat(prefix, '.', i)));
    }
    return all;
  }

  // Mean log-probability of a prompt's target.
  double target_log_p(const LocatedPrompt& prompt) {
    const torch::NoGradGuard no_grad;
    const std::vector<Tokens> one{prompt.tokens};
    const torch::Tensor log_p = torch::log_softmax(model_->logits(model_->hidden(pack(one))), 1);
    double sum = 0;
    for (std::int64_t t = prompt.first_label; t < prompt.rows(); ++t) {
      sum += log_p[t - 1][prompt.tokens[static_cast<std::size_t>(t)]].item<double>();
    }
    return sum / static_cast<double>(prompt.rows() - prompt.first_label);
  }

  std::vector<ResidualSite> sites() { return {{model_, 1}, {model_, 2}, {model_, 3}}; }

  std::map<std::string, InputMoment> moments(const std::vector<ResidualSite>& sites) const {
    std::map<std::string, InputMoment> found;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      found[sites[i].module()] = {golden("C")[static_cast<std::int64_t>(i)], {}};
    }
    return found;
  }

  fs::path directory_;
  Decoder model_{nullptr};
  std::unique_ptr<SafetensorsFile> file_;
};

ValueOptions value_options(double lr, double weight_decay, double clamp, ValueSite site) {
  ValueOptions options;
  options.site = site;
  options.steps = 20;
  options.lr = lr;
  options.weight_decay = weight_decay;
  options.clamp = clamp;
  return options;
}

TEST_F(GoldensTest, ValuesOfRome) {
  open("rome");
  const ResidualSite site(model_, 2);
  const auto all = problems("rome", 0, 8);
  const Values values =
      optimise_values(model_, site, all, value_options(0.5, 1e-3, 4, ValueSite::kMatrix));
  for (int i = 0; i < 8; ++i) {
    EXPECT_LT(difference(values.matrix[i], golden(concat("rome.", i, ".v_star"))), 1e-9) << i;
  }
}

TEST_F(GoldensTest, ValuesOfMemitInAnyPassSize) {
  open("memit");
  const ResidualSite site(model_, 3);
  const auto all = problems("z", 0, 8);
  for (const std::int64_t tokens : {1, 200, 4096}) {
    ValueOptions options = value_options(0.5, 1e-3, 4, ValueSite::kLayer);
    options.micro_tokens = tokens;
    const Values values = optimise_values(model_, site, all, options);
    for (int i = 0; i < 8; ++i) {
      EXPECT_LT(difference(values.layer[i], golden(concat("z.", i, ".z"))), 1e-9) << i;
    }
  }
}

TEST_F(GoldensTest, ValuesOfAlphaEdit) {
  open("alphaedit");
  const ResidualSite site(model_, 3);
  const Values values = optimise_values(
      model_, site, problems("z", 0, 5), value_options(0.1, 0.5, 0.75, ValueSite::kLayer));
  for (int i = 0; i < 5; ++i) {
    EXPECT_LT(difference(values.layer[i], golden(concat("z.", i, ".z"))), 1e-9) << i;
  }
}

TEST_F(GoldensTest, ClosedFormOfRome) {
  open("rome");
  for (int i = 0; i < 8; ++i) {
    const auto part = [&](const char* name) { return golden(concat("rome.", i, '.', name)); };
    const torch::Tensor update = rome_update(
        part("cur_input"), part("k_mean"), part("v_star") - part("cur_output"), golden("C"));
    EXPECT_LT(difference(update, part("delta_w")), 1e-9) << i;
  }
}

TEST_F(GoldensTest, ClosedFormsOfMemitAndAlphaEdit) {
  open("memit");
  for (std::int64_t i = 0; i < 3; ++i) {
    const auto part = [&](const char* name) { return golden(concat("b0.l", i + 1, '.', name)); };
    EXPECT_LT(
        difference(memit_update(part("K"), part("R"), golden("C")[i], 20), part("delta_w")), 1e-9);
  }
  open("alphaedit");
  const double thresholds[] = {0.044492306690138456, 0.04453265576607669, 0.07385516741616695};
  const std::int64_t ranks[] = {94, 76, 74};
  for (std::int64_t i = 0; i < 3; ++i) {
    const torch::Tensor basis = null_basis(golden("C")[i], thresholds[i]);
    EXPECT_EQ(basis.size(1), ranks[i]);
    EXPECT_LT(difference(basis.mm(basis.t()), golden("P")[i]), 1e-9);
    for (const char* batch : {"b0", "b1"}) {
      const auto part = [&](const char* name) {
        return golden(concat(batch, ".l", i + 1, '.', name));
      };
      const torch::Tensor update = alphaedit_update(
          part("K"), part("R"), basis, golden(concat(batch, ".cache_before"))[i], 0.02);
      EXPECT_LT(difference(update, part("delta_w")), 1e-9) << batch << ' ' << i;
    }
  }
}

// The loop over layers with its keys and residuals; weights are changed in float32.
TEST_F(GoldensTest, WritesOfMemit) {
  open("memit");
  const auto where = sites();
  EditorOptions options = default_options("memit");
  options.moment_weight = 20;
  WeightWriter writer(model_, where, options, 3, moments(where));
  Values values;
  values.layer = golden("b0.Z").t();
  writer.write(problems("z", 0, 8), values);
  const auto deltas = writer.deltas();
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_LT(
        difference(deltas[i].second.to(torch::kFloat64), golden(concat("b0.l", i + 1, ".delta_w"))),
        2e-5)
        << i;
  }
  EXPECT_GT(writer.missing_share(), 0.01);
  EXPECT_LT(writer.missing_share(), 1);
  // What the edited model then says of the targets.
  const OrderedJson behaviour =
      OrderedJson::parse(read_file(directory_ / "goldens/memit_behaviour.json"));
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(
        target_log_p(problem(concat("z.", i)).prompts[0]),
        behaviour["after"][i]["mean_target_logprob"].get<double>(),
        1e-3)
        << i;
  }
}

// Its second batch meets the keys of the first; the null spaces are given by their sizes.
TEST_F(GoldensTest, WritesOfAlphaEditInTwoBatches) {
  open("alphaedit");
  const auto where = sites();
  EditorOptions options = default_options("alphaedit");
  options.ridge = 0.02;
  // One threshold for all layers: second moments scaled so that each has its own.
  auto scaled = moments(where);
  const double thresholds[] = {0.044492306690138456, 0.04453265576607669, 0.07385516741616695};
  for (std::size_t i = 0; i < 3; ++i) {
    scaled[where[i].module()].second /= thresholds[i];
  }
  options.null_threshold = 1;
  WeightWriter writer(model_, where, options, 3, scaled);
  Values values;
  values.layer = golden("b0.Z").t();
  writer.write(problems("z", 0, 5), values);
  values.layer = golden("b1.Z").t();
  writer.write(problems("z", 5, 8), values);
  const auto deltas = writer.deltas();
  for (std::size_t i = 0; i < 3; ++i) {
    const torch::Tensor expected =
        golden(concat("b0.l", i + 1, ".delta_w")) + golden(concat("b1.l", i + 1, ".delta_w"));
    EXPECT_LT(difference(deltas[i].second.to(torch::kFloat64), expected), 5e-4) << i;
  }
}

} // namespace
} // namespace errata::editing
