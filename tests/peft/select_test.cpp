#include "peft/adapter.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::tiny_decoder;

AdapterConfig targets(std::vector<std::string> names) {
  AdapterConfig config;
  config.target_modules = std::move(names);
  return config;
}

AdapterConfig expression(std::string text) {
  AdapterConfig config;
  config.target_regex = std::move(text);
  return config;
}

void expect_invalid(
    const Decoder& model, const AdapterConfig& config, const std::vector<std::string>& parts) {
  expect_error(ErrorCode::kInvalidArgument, parts, [&] { match_targets(model, config); });
}

TEST(ParseLayersTest, ReadsListsRangesAndNegatives) {
  using Layers = std::vector<std::int64_t>;
  EXPECT_EQ(parse_layers("2-3,-1", 12), (Layers{2, 3, 11}));
  EXPECT_EQ(parse_layers(" 5 , 0 - 1 ,5", 12), (Layers{0, 1, 5}));
  EXPECT_EQ(parse_layers("-3--1", 12), (Layers{9, 10, 11}));
  EXPECT_EQ(parse_layers("10--1", 12), (Layers{10, 11}));
}

TEST(ParseLayersTest, NamesWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "2-3,-1"},
      {"2,,3", "2-3,-1"},
      {"a", "'a'"},
      {"1.5", "'1.5'"},
      {"12", "out of range"},
      {"-13", "out of range"},
      {"99999999999999999999", "out of range"},
      {"3-2", "ends before it starts"}};
  for (const auto& [text, part] : cases) {
    expect_error(ErrorCode::kInvalidArgument, {"--layers '" + text + "'", part}, [&text = text] {
      parse_layers(text, 12);
    });
  }
}

TEST(MatchTargetsTest, ListEntriesMatchWholeComponentsAtTheEnd) {
  const Decoder model = tiny_decoder();
  EXPECT_EQ(match_targets(model, targets({"q_proj"})).size(), 12);
  EXPECT_EQ(match_targets(model, targets({"mlp.up_proj", "q_proj"})).size(), 24);
  const std::string path = "model.layers.10.mlp.up_proj";
  EXPECT_EQ(match_targets(model, targets({path})), std::vector<std::string>{path});
  // "0.mlp.up_proj" ends a component: layers 0 and not 10.
  EXPECT_EQ(
      match_targets(model, targets({"0.mlp.up_proj"})),
      std::vector<std::string>{"model.layers.0.mlp.up_proj"});
  expect_invalid(model, targets({"_proj"}), {"'_proj'"});
}

TEST(MatchTargetsTest, DefaultsAndAllLinear) {
  const Decoder model = tiny_decoder(2);
  const auto defaults = match_targets(model, AdapterConfig{});
  EXPECT_EQ(
      defaults,
      (std::vector<std::string>{
          "model.layers.0.self_attn.q_proj",
          "model.layers.0.self_attn.v_proj",
          "model.layers.1.self_attn.q_proj",
          "model.layers.1.self_attn.v_proj"}));
  EXPECT_EQ(match_targets(model, expression("all-linear")).size(), 14);
  EXPECT_EQ(match_targets(model, expression("All-Linear")).size(), 14);
  AdapterConfig late = expression("all-linear");
  late.layers_to_transform = {1};
  EXPECT_EQ(match_targets(model, late).size(), 7);
}

// peft#1206: an expression counts as one only as a string, and must match the whole path.
TEST(MatchTargetsTest, ExpressionsMatchInFullAndOnlyOutsideLists) {
  const Decoder model = tiny_decoder();
  EXPECT_EQ(match_targets(model, expression(R"(.*\.1\d*\..*q_proj)")).size(), 3);
  EXPECT_EQ(match_targets(model, expression(R"(.*\.(?P<i>[0-3])\.mlp\.(up|down)_proj)")).size(), 8);
  expect_invalid(model, expression("q_proj"), {"'q_proj'", "whole path"});
  expect_invalid(model, expression("(q_proj"), {"(q_proj", "regular expression"});
  expect_invalid(model, targets({R"(.*\.1.*q_proj)"}), {"matches no module"});
}

// peft#1024, #2155: with layers, every entry is looked for inside those layers, and an index is
// needed in the path.
TEST(MatchTargetsTest, LayersRestrictLists) {
  const Decoder model = tiny_decoder();
  AdapterConfig config = targets({"q_proj", "up_proj"});
  config.layers_to_transform = {1, 11};
  EXPECT_EQ(
      match_targets(model, config),
      (std::vector<std::string>{
          "model.layers.1.self_attn.q_proj",
          "model.layers.1.mlp.up_proj",
          "model.layers.11.self_attn.q_proj",
          "model.layers.11.mlp.up_proj"}));
  config.layers_pattern = {"layers"};
  EXPECT_EQ(match_targets(model, config).size(), 4);
  config.layers_pattern = {"blocks", "layers"};
  EXPECT_EQ(match_targets(model, config).size(), 4);
  config.layers_pattern = {"blocks"};
  expect_invalid(model, config, {"'q_proj'", "layers_pattern"});
  config.layers_pattern = {};
  config.layers_to_transform = {12};
  expect_invalid(model, config, {"layer 12", "0 to 11"});
  AdapterConfig table = targets({"q_proj", "embed_tokens"});
  table.layers_to_transform = {1};
  expect_invalid(model, table, {"'embed_tokens'"});
  AdapterConfig regular = expression(".*q_proj");
  regular.layers_to_transform = {1};
  expect_invalid(model, regular, {"layers_to_transform", ".*q_proj"});
}

// peft#1959: a target that hits nothing is said, with what was probably meant.
TEST(MatchTargetsTest, MisspeltTargetsAreErrorsWithNearNames) {
  const Decoder model = tiny_decoder();
  expect_invalid(model, targets({"q_proj", "v_porj"}), {"'v_porj'", "did you mean 'v_proj'"});
  expect_invalid(model, targets({"attention"}), {"'attention'", "down_proj", "o_proj"});
}

// What users of PEFT ran into; the number is that of its issue.
TEST(MatchTargetsTest, KnownTrapsAreErrorsOrWork) {
  const Decoder model = tiny_decoder(3);
  // 1206: an expression in a list is plain text.
  expect_invalid(model, targets({R"(.*\.1.*q_proj)"}), {"plain text", "--target-regex"});
  AdapterConfig config;
  config.target_regex = R"(.*\.1\..*q_proj)";
  EXPECT_EQ(match_targets(model, config).size(), 1);
  // 1024: with layers, a target outside of all layers is dropped, unless its whole path is named.
  config = targets({"q_proj", "embed_tokens"});
  config.layers_to_transform = {1};
  expect_invalid(model, config, {"embed_tokens"});
  config.target_modules = {"q_proj", "model.embed_tokens", "lm_head"};
  EXPECT_EQ(
      match_targets(model, config),
      (std::vector<std::string>{
          "model.embed_tokens", "model.layers.1.self_attn.q_proj", "lm_head"}));
  // 2155: a pattern for the layers that fits nothing.
  config = targets({"q_proj"});
  config.layers_to_transform = {1};
  config.layers_pattern = {"blocks"};
  expect_invalid(model, config, {"q_proj", "layers_pattern"});
  config.layers_pattern = {"layers"};
  EXPECT_EQ(match_targets(model, config).size(), 1);
}

TEST(MatchTargetsTest, ExclusionsWin) {
  const Decoder model = tiny_decoder();
  AdapterConfig config = targets({"q_proj"});
  config.exclude_modules = {"0.self_attn.q_proj"};
  EXPECT_EQ(match_targets(model, config).size(), 11);
  config.exclude_modules = {};
  config.exclude_regex = R"(model\.layers\.\d\..*)";
  EXPECT_EQ(match_targets(model, config).size(), 2);
  config.exclude_regex = ".*";
  expect_invalid(model, config, {"exclude_modules"});
}

// peft#2194: rank and alpha look for their own key. It fits whole components from the end, and the
// first one in the file counts, also where a later one is more exact.
TEST(PatternTest, FirstMatchingKeyCounts) {
  AdapterConfig config;
  config.r = 8;
  config.lora_alpha = 16;
  config.rank_pattern = {
      {"layers.1.self_attn.q_proj", 2}, {"q_proj", 4}, {"0.self_attn.q_proj", 3}};
  config.alpha_pattern = {{R"(^model\.layers\.0\.self_attn\.q_proj)", 32}, {"^k_proj", 1}};
  const auto rank = [&](const std::string& module) { return module_rank(config, module); };
  EXPECT_EQ(rank("model.layers.1.self_attn.q_proj"), 2);
  EXPECT_EQ(rank("model.layers.11.self_attn.q_proj"), 4);
  EXPECT_EQ(rank("model.layers.0.self_attn.q_proj"), 4);
  EXPECT_EQ(rank("model.layers.0.self_attn.xq_proj"), 8);
  EXPECT_EQ(module_scale(config, "model.layers.0.self_attn.q_proj"), 8.0);
  EXPECT_EQ(module_scale(config, "model.layers.0.self_attn.k_proj"), 2.0);
  config.use_rslora = true;
  EXPECT_EQ(module_scale(config, "model.layers.0.self_attn.q_proj"), 16.0);
}

} // namespace
} // namespace errata::peft
