// GPT-2 and GPT-J: what their files say and leave out.

#include "core/base/json.h"
#include "core/decoder.h"
#include "core/model_config.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <cmath>

namespace errata {
namespace {

using testing_support::expect_error;

DecoderConfig gpt(const char* text, const char* patch = "{}") {
  Json config = Json::parse(text);
  config.update(Json::parse(patch));
  return parse_decoder_config(config, "config.json");
}

constexpr const char* kGpt2 = R"({
  "model_type": "gpt2", "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05,
  "n_ctx": 1024, "n_embd": 1600, "n_head": 25, "n_layer": 48, "n_positions": 1024,
  "vocab_size": 50257})";

constexpr const char* kGptJ = R"({
  "model_type": "gptj", "n_embd": 4096, "n_head": 16, "n_inner": null, "n_layer": 28,
  "n_positions": 2048, "rotary_dim": 64, "vocab_size": 50400})";

TEST(GptConfigTest, ReadsGpt2) {
  const DecoderConfig decoder = gpt(kGpt2);
  EXPECT_EQ(decoder.head_dim, 64);
  EXPECT_EQ(decoder.num_kv_heads, 25);
  EXPECT_EQ(decoder.intermediate_size, 6400);
  EXPECT_EQ(decoder.norm, NormKind::kLayer);
  EXPECT_TRUE(
      decoder.attention_bias && decoder.output_bias && decoder.mlp_bias &&
      decoder.transposed_files && decoder.tie_word_embeddings);
  EXPECT_FALSE(decoder.parallel_block || decoder.head_bias);
  EXPECT_EQ(decoder.max_positions, 1024);
  EXPECT_EQ(decoder.num_layers(), 48);
}

TEST(GptConfigTest, ReadsGptJ) {
  const DecoderConfig decoder = gpt(kGptJ);
  EXPECT_TRUE(decoder.parallel_block && decoder.head_bias && decoder.mlp_bias);
  EXPECT_FALSE(
      decoder.attention_bias || decoder.output_bias || decoder.transposed_files ||
      decoder.tie_word_embeddings);
  EXPECT_EQ(decoder.layers[27].rope.rotary_dim, 64);
  EXPECT_TRUE(decoder.layers[27].rope.interleaved);
  EXPECT_EQ(gpt(kGptJ, R"({"rotary_dim": null})").layers[0].rope.rotary_dim, 256);
}

TEST(GptConfigTest, LinearLayersHaveTheFamilysNames) {
  const char* small = R"({"n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 16,
    "vocab_size": 20, "rotary_dim": 4})";
  std::vector<std::string> names;
  for (const auto& [name, linear] : Decoder(gpt(kGpt2, small))->linears()) {
    names.push_back(name);
    EXPECT_TRUE(linear->transposed_in_files);
  }
  EXPECT_EQ(
      names,
      (std::vector<std::string>{
          "transformer.h.0.attn.c_attn",
          "transformer.h.0.attn.c_proj",
          "transformer.h.0.mlp.c_fc",
          "transformer.h.0.mlp.c_proj"}));
  names.clear();
  const Decoder gptj(gpt(kGptJ, small));
  for (const auto& [name, linear] : gptj->linears()) {
    names.push_back(name.substr(name.rfind('.') + 1));
  }
  EXPECT_EQ(
      names,
      (std::vector<std::string>{"q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"}));
  EXPECT_TRUE(gptj->transposed_in_files().empty());
}

TEST(GptConfigTest, ATextLongerThanTheLearnedPositionsIsRefused) {
  Decoder decoder(gpt(kGpt2, R"({"n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 4,
    "vocab_size": 20})"));
  decoder->initialise();
  const std::vector<std::vector<std::int32_t>> fits = {{1, 2, 3, 4}};
  EXPECT_EQ(decoder->hidden(pack(fits)).size(0), 4);
  const std::vector<std::vector<std::int32_t>> longer = {{1, 2, 3, 4, 5}};
  expect_error(ErrorCode::kInvalidArgument, {"5 tokens", "4 positions"}, [&] {
    decoder->hidden(pack(longer));
  });
}

TEST(GptConfigTest, NamesWhatIsNotSupportedOrDoesNotAddUp) {
  const auto bad = [](ErrorCode code, const char* patch, const std::vector<std::string>& parts) {
    expect_error(code, parts, [&] { gpt(kGptJ, patch); });
  };
  bad(ErrorCode::kUnsupported, R"({"activation_function": "relu"})", {"'relu'", "gelu_new"});
  bad(ErrorCode::kUnsupported, R"({"scale_attn_weights": false})", {"scale_attn_weights"});
  bad(ErrorCode::kUnsupported,
      R"({"scale_attn_by_inverse_layer_idx": true})",
      {"scale_attn_by_inverse_layer_idx"});
  bad(ErrorCode::kCorrupt, R"({"n_head": 15})", {"n_embd", "multiple", "15"});
  bad(ErrorCode::kCorrupt, R"({"rotary_dim": 63})", {"rotary_dim", "63"});
  bad(ErrorCode::kCorrupt, R"({"rotary_dim": 258})", {"rotary_dim", "258", "256"});
  bad(ErrorCode::kCorrupt, R"({"n_layer": null})", {"n_layer"});
}

} // namespace
} // namespace errata
