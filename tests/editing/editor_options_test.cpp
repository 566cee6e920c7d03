#include "core/base/json.h"
#include "editing/editor.h"
#include "tests/editing/editor_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace errata::editing {
namespace {

using testing_support::EditingFixture;
using testing_support::expect_error;

class EditorOptionsTest : public testing_support::SeedingTest {
 protected:
  EditingFixture fixture;
};

TEST_F(EditorOptionsTest, RefusesWhatAMethodCannotTrainWhole) {
  const auto refuse = [&](const EditorOptions& options, const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kInvalidArgument, parts, [&] { validate(options); });
  };
  EditorOptions options = fixture.options("lora");
  options.bias = "vera_only";
  refuse(options, {"--bias 'vera_only'", "none, all or lora_only"});
  options = fixture.options("ft");
  options.bias = "all";
  refuse(options, {"--bias 'all'", "--method ft"});
  options = fixture.options("ia3");
  options.bias = "all";
  refuse(options, {"--bias 'all'", "use none"});
  for (const char* method : {"ft", "prompt", "pfeiffer"}) {
    options = fixture.options(method);
    options.modules_to_save = {"norm"};
    refuse(options, {"--modules-to-save", std::string("--method ") + method});
  }
  options = fixture.options("ft");
  options.target_modules = {"lm_head"};
  expect_error(ErrorCode::kInvalidArgument, {"lm_head", "--modules-to-save"}, [&] {
    make_editor("ft")->modules(fixture.model, options);
  });
}

TEST_F(EditorOptionsTest, SelectsWhatTheMethodIsAbout) {
  const auto lora = make_editor("lora");
  EXPECT_EQ(lora->modules(fixture.model, default_options("lora")).size(), 21u);
  EditorOptions some = default_options("lora");
  some.target_modules = {"q_proj", "down_proj"};
  some.layers = "0,-1";
  EXPECT_THAT(
      lora->modules(fixture.model, some),
      testing::ElementsAre(
          "model.layers.0.self_attn.q_proj",
          "model.layers.0.mlp.down_proj",
          "model.layers.2.self_attn.q_proj",
          "model.layers.2.mlp.down_proj"));
  const auto locft = make_editor("ft-locft");
  EXPECT_THAT(
      locft->modules(fixture.model, default_options("ft-locft")),
      testing::ElementsAre("model.layers.2.mlp.down_proj"));
}

TEST_F(EditorOptionsTest, NullSpaceNeedsRehearsal) {
  EditorOptions options = fixture.options("lora");
  options.null_space = 0.1;
  EditInput input = fixture.input();
  input.rehearsal = {};
  expect_error(ErrorCode::kInvalidArgument, {"--null-space", "rehearsal"}, [&] {
    make_editor("lora")->edit(fixture.model, input, options);
  });
}

TEST_F(EditorOptionsTest, UnknownMethodsNameTheKnown) {
  expect_error(ErrorCode::kInvalidArgument, {"'lorra'", "did you mean 'lora'", "ft-locft"}, [] {
    default_options("lorra");
  });
}

TEST_F(EditorOptionsTest, DefaultsAreValidAndTheirJsonIsComplete) {
  for (const EditorInfo& info : editors()) {
    const EditorOptions options = default_options(info.name);
    validate(options);
    const OrderedJson json = to_json(options);
    EXPECT_EQ(json["method"], info.name);
    EXPECT_EQ(json["alpha"], 2 * options.rank);
    EXPECT_EQ(json["epochs"], info.name == "ft-locft" ? 25 : 0);
  }
}

TEST_F(EditorOptionsTest, NullSpaceIsRefusedWhereItWouldNotAct) {
  const std::vector<std::string> acting = {"lora", "dora", "adalora", "ft", "ft-locft"};
  for (const EditorInfo& info : editors()) {
    EditorOptions options = default_options(info.name);
    options.null_space = 0.1;
    const bool acts = std::find(acting.begin(), acting.end(), info.name) != acting.end();
    EXPECT_EQ(null_space_acts(options), acts) << info.name;
    if (acts) {
      EXPECT_NO_THROW(validate(options)) << info.name;
    } else {
      expect_error(ErrorCode::kInvalidArgument, {"--null-space", "--method " + info.name}, [&] {
        validate(options);
      });
    }
  }
  for (const char* init : {"gaussian", "pissa", "olora", "eva"}) {
    EditorOptions options = default_options("lora");
    options.init = init;
    expect_error(ErrorCode::kInvalidArgument, {"--null-space", std::string("--init ") + init}, [&] {
      validate(options);
    });
    options.null_space = 0;
    EXPECT_NO_THROW(validate(options)) << init;
  }
}

TEST_F(EditorOptionsTest, ValuesOutOfRangeAreNamedAsOnTheCommandLine) {
  const auto refuse = [](const std::function<void(EditorOptions&)>& change, const char* part) {
    EditorOptions options = default_options("lora");
    change(options);
    expect_error(ErrorCode::kInvalidArgument, {part}, [&] { validate(options); });
  };
  refuse([](auto& o) { o.rank = 0; }, "--rank is 0");
  refuse([](auto& o) { o.epochs = 3; }, "--steps and --epochs");
  refuse([](auto& o) { o.steps = 0; }, "neither --steps nor --epochs");
  refuse([](auto& o) { o.batch_size = 8; }, "--batch-size");
  refuse([](auto& o) { o.lr = 0; }, "--lr");
  refuse([](auto& o) { o.anchor = 1.5; }, "--anchor");
  refuse([](auto& o) { o.kl = -1; }, "--kl");
  refuse([](auto& o) { o.dropout = 1; }, "--dropout");
  refuse([](auto& o) { o.p_tuning_encoder = "lstm"; }, "--method p-tuning");
  refuse([](auto& o) { o.p_tuning_encoder = "gru"; }, "'gru' is unknown; use mlp or lstm");
}

} // namespace
} // namespace errata::editing
