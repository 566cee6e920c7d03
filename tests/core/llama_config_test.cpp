// The families whose blocks are Llama's: what their files say and leave out.

#include "core/base/json.h"
#include "core/model_config.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <cmath>

namespace errata {
namespace {

using testing_support::expect_error;

DecoderConfig parse(const char* text, const char* patch = "{}") {
  Json config = Json::parse(text);
  config.update(Json::parse(patch));
  return parse_decoder_config(config, "config.json");
}

// Llama 3.1 8B's file, without what errata does not read.
constexpr const char* kLlama = R"({
  "model_type": "llama", "attention_bias": false, "bos_token_id": 128000, "hidden_act": "silu",
  "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 131072,
  "mlp_bias": false, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
  "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "vocab_size": 128256,
  "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192, "rope_type": "llama3"}})";

constexpr const char* kQwen = R"({
  "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
  "num_attention_heads": 14, "num_key_value_heads": 2, "rope_theta": 1000000.0,
  "max_window_layers": 21, "sliding_window": 32768, "use_sliding_window": false,
  "tie_word_embeddings": true})";

TEST(LlamaConfigTest, ReadsLlama) {
  const DecoderConfig decoder = parse(kLlama);
  EXPECT_EQ(decoder.model_type, "llama");
  EXPECT_EQ(decoder.head_dim, 128);
  EXPECT_EQ(decoder.num_kv_heads, 8);
  EXPECT_DOUBLE_EQ(decoder.norm_eps, 1e-5);
  EXPECT_DOUBLE_EQ(decoder.query_scale, 1 / std::sqrt(128.0));
  EXPECT_EQ(decoder.embedding_scale, 1.0);
  EXPECT_EQ(decoder.activation, Activation::kSilu);
  EXPECT_FALSE(
      decoder.norm_adds_one || decoder.sandwich_norms || decoder.qk_norm ||
      decoder.tie_word_embeddings || decoder.attention_bias || decoder.mlp_bias);
  RopeConfig rope{500000.0, 8.0};
  rope.llama3 = Llama3Rope{1, 4, 8192};
  ASSERT_EQ(decoder.num_layers(), 32);
  EXPECT_EQ(decoder.layers[31].rope, rope);
  EXPECT_EQ(decoder.layers[31].window, 0);
}

TEST(LlamaConfigTest, BothDialectsOfRopeMeanTheSame) {
  Json config = Json::parse(kLlama);
  Json parameters = config["rope_scaling"];
  parameters["rope_theta"] = config["rope_theta"];
  config.erase("rope_scaling");
  config.erase("rope_theta");
  config["rope_parameters"] = parameters;
  EXPECT_EQ(
      parse_decoder_config(config, "config.json").layers[0].rope, parse(kLlama).layers[0].rope);
}

TEST(LlamaConfigTest, LlamaOneHasNoKeyValueHeadsAndBiasesAreSwitches) {
  Json config = Json::parse(kLlama);
  config.erase("num_key_value_heads");
  config["rope_scaling"] = nullptr;
  config["attention_bias"] = config["mlp_bias"] = true;
  const DecoderConfig decoder = parse_decoder_config(config, "config.json");
  EXPECT_EQ(decoder.num_kv_heads, 32);
  EXPECT_EQ(decoder.layers[0].rope, RopeConfig{500000.0});
  EXPECT_TRUE(decoder.attention_bias && decoder.output_bias && decoder.mlp_bias);
}

TEST(LlamaConfigTest, YarnComputesItsAttentionFactor) {
  const auto yarn = [](const char* fields) {
    Json rope = Json::parse(fields);
    rope["type"] = "yarn";
    rope["factor"] = 4.0;
    return parse(kQwen, Json{{"rope_scaling", rope}}.dump().c_str()).layers[0].rope.yarn.value();
  };
  EXPECT_DOUBLE_EQ(yarn("{}").attention_factor, 0.1 * std::log(4.0) + 1);
  EXPECT_EQ(yarn("{}").original_positions, 32'768); // those of the model
  EXPECT_EQ(yarn(R"({"attention_factor": 0.5})").attention_factor, 0.5);
  EXPECT_DOUBLE_EQ(
      yarn(R"({"mscale": 2.0, "mscale_all_dim": 1.0})").attention_factor,
      (0.2 * std::log(4.0) + 1) / (0.1 * std::log(4.0) + 1));
  EXPECT_FALSE(yarn(R"({"truncate": false})").truncate);
}

TEST(LlamaConfigTest, MistralsWindowIsForAllLayersUnlessNull) {
  constexpr const char* kMistral = R"({
    "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 2, "num_attention_heads": 32, "rope_theta": 10000.0})";
  const DecoderConfig first = parse(kMistral, R"({"sliding_window": 77})");
  EXPECT_EQ(first.layers[0].window, 77);
  EXPECT_EQ(first.layers[1].window, 77);
  EXPECT_EQ(first.num_kv_heads, 8);
  EXPECT_EQ(first.head_dim, 128);
  EXPECT_EQ(parse(kMistral).layers[0].window, 4096);
  EXPECT_EQ(parse(kMistral, R"({"sliding_window": null})").layers[0].window, 0);
}

TEST(LlamaConfigTest, QwenHasBiasesAndWindowsOnlyWhenAsked) {
  const DecoderConfig plain = parse(kQwen);
  EXPECT_TRUE(plain.attention_bias);
  EXPECT_FALSE(plain.output_bias || plain.qk_norm);
  EXPECT_TRUE(plain.tie_word_embeddings);
  EXPECT_EQ(plain.layers[23].window, 0);
  const DecoderConfig windows = parse(kQwen, R"({"use_sliding_window": true})");
  EXPECT_EQ(windows.layers[20].window, 0);
  EXPECT_EQ(windows.layers[21].window, 32'768);
  const DecoderConfig third = parse(kQwen, R"({"model_type": "qwen3", "head_dim": 96})");
  EXPECT_TRUE(third.qk_norm);
  EXPECT_FALSE(third.attention_bias || third.norm_adds_one);
  EXPECT_EQ(third.head_dim, 96);
}

TEST(LlamaConfigTest, GemmaOneIsLlamaWithGemmasNumbers) {
  const DecoderConfig decoder = parse(R"({
    "model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384, "hidden_act": "gelu",
    "hidden_activation": null, "num_hidden_layers": 18, "num_attention_heads": 8,
    "num_key_value_heads": 1, "head_dim": 256})");
  EXPECT_TRUE(decoder.norm_adds_one && decoder.tie_word_embeddings);
  EXPECT_FALSE(decoder.sandwich_norms || decoder.qk_norm);
  EXPECT_DOUBLE_EQ(decoder.embedding_scale, std::sqrt(2048.0));
  EXPECT_EQ(decoder.activation, Activation::kGeluTanh);
  EXPECT_EQ(decoder.vocab_size, 256'000);
}

TEST(LlamaConfigTest, NamesWhatIsNotSupportedOrDoesNotAddUp) {
  const auto bad = [](ErrorCode code, const char* patch, std::vector<std::string> parts) {
    parts.emplace_back("config.json");
    expect_error(code, parts, [&] { parse(kLlama, patch); });
  };
  const ErrorCode unsupported = ErrorCode::kUnsupported;
  const ErrorCode corrupt = ErrorCode::kCorrupt;
  // The exact GELU is another function than the tanh form.
  bad(unsupported, R"({"hidden_act": "gelu"})", {"'gelu'", "silu"});
  bad(unsupported,
      R"({"rope_scaling": {"type": "longrope", "factor": 2}})",
      {"'longrope'", "llama3"});
  bad(unsupported, R"({"rope_parameters": {"full_attention": {}}})", {"full_attention", "one set"});
  bad(unsupported,
      R"({"rope_parameters": {"partial_rotary_factor": 0.5}})",
      {"partial_rotary_factor"});
  bad(unsupported, R"({"quantization_config": {"bits": 4}})", {"quantization_config"});
  bad(corrupt, R"({"rope_scaling": {"rope_type": "llama3", "factor": 8}})", {"low_freq_factor"});
  bad(corrupt,
      R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
          "high_freq_factor": 4}})",
      {"high_freq_factor", "not above"});
  bad(corrupt, R"({"rope_scaling": {"rope_type": "yarn"}})", {"'factor'", "yarn"});
  bad(corrupt, R"({"num_key_value_heads": 5})", {"multiple", "32", "5"});
  bad(corrupt, R"({"rope_theta": -1.0})", {"rope_theta"});
  expect_error(corrupt, {"layer_types", "use_sliding_window"}, [] {
    Json types = Json::array();
    for (int i = 0; i < 24; ++i) {
      types.push_back("sliding_attention");
    }
    parse(kQwen, Json{{"layer_types", types}}.dump().c_str());
  });
}

} // namespace
} // namespace errata
