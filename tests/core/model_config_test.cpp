#include "core/model_config.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <cmath>

namespace errata {
namespace {

using testing_support::expect_error;
using testing_support::TemporaryDirectory;

Json base_config() {
  return Json::parse(R"({
    "model_type": "gemma3_text", "hidden_size": 48, "intermediate_size": 80,
    "num_hidden_layers": 7, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 10,
    "vocab_size": 97, "query_pre_attn_scalar": 16, "sliding_window": 5})");
}

DecoderConfig parse(const Json& config) {
  return parse_decoder_config(config, "config.json");
}

void expect_bad(ErrorCode code, const char* patch, const std::vector<std::string>& parts) {
  Json config = base_config();
  config.update(Json::parse(patch));
  std::vector<std::string> all = parts;
  all.emplace_back("config.json");
  expect_error(code, all, [&] { parse(config); });
}

TEST(ModelConfigTest, ReadsTheNewDialect) {
  Json config = base_config();
  config["rope_parameters"] = Json::parse(R"({
    "sliding_attention": {"rope_type": "default", "rope_theta": 12000.0},
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500000.0}})");
  config["layer_types"] = {
      "full_attention",
      "sliding_attention",
      "sliding_attention",
      "full_attention",
      "sliding_attention",
      "sliding_attention",
      "sliding_attention"};
  config["final_logit_softcapping"] = 30.0;
  config["attention_bias"] = true;
  config["tie_word_embeddings"] = false;
  const DecoderConfig decoder = parse(config);
  EXPECT_EQ(decoder.vocab_size, 97);
  EXPECT_EQ(decoder.hidden_size, 48);
  EXPECT_EQ(decoder.intermediate_size, 80);
  EXPECT_EQ(decoder.num_heads, 6);
  EXPECT_EQ(decoder.num_kv_heads, 2);
  EXPECT_EQ(decoder.head_dim, 10);
  EXPECT_DOUBLE_EQ(decoder.query_scale, 0.25);
  EXPECT_DOUBLE_EQ(decoder.embedding_scale, std::sqrt(48.0));
  EXPECT_TRUE(decoder.norm_adds_one && decoder.sandwich_norms && decoder.qk_norm);
  EXPECT_TRUE(decoder.attention_bias);
  EXPECT_FALSE(decoder.tie_word_embeddings);
  EXPECT_EQ(decoder.final_logit_softcap, 30.0);
  ASSERT_EQ(decoder.num_layers(), 7);
  EXPECT_EQ(decoder.layers[0].window, 0);
  EXPECT_EQ(decoder.layers[0].rope, (RopeConfig{500000.0, 8.0}));
  EXPECT_EQ(decoder.layers[1].window, 5);
  EXPECT_EQ(decoder.layers[1].rope, (RopeConfig{12000.0, 1.0}));
}

TEST(ModelConfigTest, ReadsTheOldDialect) {
  Json config = base_config();
  config.update(Json::parse(R"({
    "rope_theta": 500000.0, "rope_local_base_freq": 12000.0, "sliding_window_pattern": 3,
    "rope_scaling": {"type": "linear", "factor": 4.0}, "hidden_act": "gelu",
    "torch_dtype": "bfloat16", "final_logit_softcapping": null,
    "attn_logit_softcapping": null})"));
  const DecoderConfig decoder = parse(config);
  for (std::size_t i = 0; i < 7; ++i) {
    const bool global = i == 2 || i == 5;
    EXPECT_EQ(decoder.layers[i].window, global ? 0 : 5) << i;
    EXPECT_EQ(
        decoder.layers[i].rope, (global ? RopeConfig{500000.0, 4.0} : RopeConfig{12000.0, 1.0}))
        << i;
  }
  EXPECT_EQ(decoder.activation, Activation::kGeluTanh);
  EXPECT_FALSE(decoder.final_logit_softcap);
  EXPECT_TRUE(decoder.tie_word_embeddings);
}

// The text part of the published 4B config names only what differs from the defaults.
TEST(ModelConfigTest, FillsWhatMultimodalConfigsLeaveOut) {
  const DecoderConfig decoder = parse(Json::parse(R"({
    "model_type": "gemma3", "eos_token_id": [1, 106], "vision_config": {},
    "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
      "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
      "sliding_window": 1024}})"));
  EXPECT_EQ(decoder.model_type, "gemma3_text");
  EXPECT_EQ(decoder.num_heads, 8);
  EXPECT_EQ(decoder.num_kv_heads, 4);
  EXPECT_EQ(decoder.head_dim, 256);
  EXPECT_EQ(decoder.vocab_size, 262208);
  EXPECT_DOUBLE_EQ(decoder.query_scale, 1.0 / 16);
  EXPECT_EQ(decoder.layers[5].rope, (RopeConfig{1e6, 8.0}));
  EXPECT_EQ(decoder.layers[4].rope, (RopeConfig{1e4, 1.0}));
  EXPECT_EQ(decoder.layers[4].window, 1024);
  EXPECT_TRUE(decoder.tie_word_embeddings);
}

TEST(ModelConfigTest, NamesWhatIsNotSupported) {
  const ErrorCode code = ErrorCode::kUnsupported;
  expect_bad(code, R"({"model_type": "mamba"})", {"'mamba'", "gemma3_text"});
  expect_bad(code, R"({"hidden_activation": "relu"})", {"'relu'", "gelu_pytorch_tanh"});
  expect_bad(
      code,
      R"({"rope_scaling": {"rope_type": "longrope", "factor": 2}})",
      {"'longrope'", "linear"});
  expect_bad(
      code,
      R"({"rope_parameters": {"full_attention": {"rope_type": "longrope", "factor": 2}}})",
      {"'longrope'", "full_attention"});
  expect_bad(code, R"({"rope_parameters": {"rope_theta": 1e4}})", {"rope_parameters"});
  expect_bad(code, R"({"attn_logit_softcapping": 50.0})", {"attn_logit_softcapping"});
  expect_bad(code, R"({"use_bidirectional_attention": true})", {"use_bidirectional_attention"});
  expect_bad(code, R"({"quantization_config": {"quant_method": "gptq"}})", {"quantization_config"});
  expect_bad(
      code,
      R"({"layer_types": ["full_attention","full_attention","full_attention","full_attention",
          "full_attention","full_attention","chunked_attention"]})",
      {"chunked_attention"});
}

TEST(ModelConfigTest, NamesWhatDoesNotAddUp) {
  const ErrorCode code = ErrorCode::kCorrupt;
  expect_bad(code, R"({"model_type": null})", {"'model_type'"});
  expect_bad(code, R"({"hidden_size": null})", {"'hidden_size'"});
  expect_bad(code, R"({"hidden_size": 0})", {"'hidden_size'", "0"});
  expect_bad(code, R"({"hidden_size": -4})", {"'hidden_size'"});
  expect_bad(code, R"({"hidden_size": "48"})", {"'hidden_size'", "integer"});
  expect_bad(code, R"({"num_hidden_layers": 1000000000})", {"'num_hidden_layers'"});
  expect_bad(code, R"({"num_key_value_heads": 4})", {"multiple", "6", "4"});
  expect_bad(code, R"({"head_dim": 9})", {"'head_dim'", "9"});
  expect_bad(code, R"({"query_pre_attn_scalar": 0})", {"query_pre_attn_scalar"});
  expect_bad(code, R"({"layer_types": ["full_attention"]})", {"layer_types", "7"});
  expect_bad(code, R"({"rope_scaling": {"rope_type": "linear"}})", {"factor"});
  expect_bad(code, R"({"sliding_window": 0})", {"sliding_window"});
  expect_error(code, {"text_config"}, [] { parse(Json{{"model_type", "gemma3"}}); });
  expect_error(code, {"object"}, [] { parse(Json::array()); });
}

TEST(ModelConfigTest, WhatIsWrittenReadsBackTheSame) {
  Json source = base_config();
  source["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 8.0}};
  source["final_logit_softcapping"] = 12.5;
  const DecoderConfig before = parse(source);
  const SpecialIds ids{{1, 106}, 2, 0};
  const Json written = Json::parse(hf_config(before, "bfloat16", ids).dump());
  EXPECT_EQ(written["dtype"], "bfloat16");
  EXPECT_EQ(written["eos_token_id"], (Json{1, 106}));
  EXPECT_EQ(written["query_pre_attn_scalar"], 16);
  const DecoderConfig after = parse(written);
  EXPECT_EQ(after.num_heads, before.num_heads);
  EXPECT_EQ(after.head_dim, before.head_dim);
  EXPECT_DOUBLE_EQ(after.query_scale, before.query_scale);
  EXPECT_EQ(after.final_logit_softcap, before.final_logit_softcap);
  ASSERT_EQ(after.num_layers(), before.num_layers());
  for (std::size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(after.layers[i].window, before.layers[i].window);
    EXPECT_EQ(after.layers[i].rope, before.layers[i].rope);
  }
  // Every value that is written as it was read: a second round changes nothing.
  EXPECT_EQ(hf_config(after, "bfloat16", ids), hf_config(before, "bfloat16", ids));
}

TEST(ModelConfigTest, EndTokensComeFromGenerationConfigFirst) {
  const TemporaryDirectory directory;
  write_file(directory / "config.json", R"({"eos_token_id": 7, "bos_token_id": 2})");
  EXPECT_EQ(read_special_ids(directory.path()).eos, std::vector<std::int64_t>{7});
  write_file(directory / "generation_config.json", R"({"eos_token_id": [1, 106]})");
  const SpecialIds ids = read_special_ids(directory.path());
  EXPECT_EQ(ids.eos, (std::vector<std::int64_t>{1, 106}));
  EXPECT_EQ(ids.bos, 2);
  EXPECT_FALSE(ids.pad);
  write_file(directory / "generation_config.json", R"({"eos_token_id": "x"})");
  expect_error(ErrorCode::kCorrupt, {"generation_config.json", "eos_token_id"}, [&] {
    read_special_ids(directory.path());
  });
}

} // namespace
} // namespace errata
