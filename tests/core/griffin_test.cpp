// RecurrentGemma's config and its recurrent layers; log-probabilities are judged in
// tests/interop/families_test.cpp.

#include "core/base/json.h"
#include "core/decoder.h"
#include "core/kv_cache.h"
#include "core/model_config.h"
#include "core/packed_batch.h"
#include "tests/support/expect_error.h"
#include "tests/support/grad_check.h"
#include "tests/support/tiny_decoder.h"
#include "tests/support/tiny_griffin.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_error;
using testing_support::expect_gradients;
using testing_support::random_decoder;
using testing_support::tiny_griffin;

// RecurrentGemma 2B's file.
constexpr const char* kGriffin = R"({
  "model_type": "recurrent_gemma", "attention_bias": false, "attention_window_size": 2048,
  "block_types": ["recurrent", "recurrent", "attention"], "conv1d_width": 4, "head_dim": 256,
  "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 2560, "intermediate_size": 15360,
  "logits_soft_cap": 30.0, "lru_width": 2560, "num_attention_heads": 10, "num_hidden_layers": 26,
  "num_key_value_heads": 1, "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0, "vocab_size": 256000})";

DecoderConfig griffin(const char* patch = "{}") {
  Json config = Json::parse(kGriffin);
  config.update(Json::parse(patch));
  return parse_decoder_config(config, "config.json");
}

TEST(GriffinTest, ReadsTheConfig) {
  const DecoderConfig decoder = griffin();
  ASSERT_EQ(decoder.num_layers(), 26);
  EXPECT_TRUE(decoder.layers[0].recurrent && decoder.layers[1].recurrent);
  EXPECT_FALSE(decoder.layers[2].recurrent);
  EXPECT_TRUE(decoder.layers[25].recurrent);
  EXPECT_EQ(decoder.intermediate_size, 7680);
  EXPECT_EQ(decoder.layers[2].window, 2048);
  EXPECT_EQ(decoder.layers[2].rope.rotary_dim, 128);
  EXPECT_EQ(decoder.embedding_scale, 50.5); // sqrt(2560) = 50.596 in bfloat16
  EXPECT_EQ(decoder.num_kv_heads, 1);
  EXPECT_EQ(griffin(R"({"lru_width": null})").lru_width, 2560);
}

TEST(GriffinTest, NamesWhatIsNotSupportedOrDoesNotAddUp) {
  expect_error(ErrorCode::kUnsupported, {"\"ssm\"", "recurrent, attention"}, [] {
    griffin(R"({"block_types": ["ssm"]})");
  });
  expect_error(
      ErrorCode::kCorrupt, {"lru_width", "2561"}, [] { griffin(R"({"lru_width": 2561})"); });
  expect_error(ErrorCode::kCorrupt, {"partial_rotary_factor"}, [] {
    griffin(R"({"partial_rotary_factor": 0.001})");
  });
}

TEST(GriffinTest, GradientsMatchDifferences) {
  Decoder model = random_decoder(tiny_griffin());
  const std::vector<std::vector<std::int32_t>> sequences = {{3, 5, 7, 2}, {1}, {4, 18, 6}};
  const PackedBatch batch = pack(sequences);
  std::vector<torch::Tensor> leaves;
  for (auto& item : model->named_parameters()) {
    item.value().requires_grad_(true);
    if (item.key().find("layers.0.temporal_block") != std::string::npos) {
      leaves.push_back(item.value());
    }
  }
  EXPECT_EQ(leaves.size(), 13U);
  expect_gradients([&] { return model->hidden(batch); }, leaves);
}

// A sequence in one pass, in pieces, and beside rows that are elsewhere.
TEST(GriffinTest, TheCacheCarriesTheState) {
  Decoder model = random_decoder(tiny_griffin());
  const torch::NoGradGuard no_grad;
  const std::vector<std::vector<std::int32_t>> sequences = {{3, 5, 7, 2, 9, 11, 1}};
  const torch::Tensor whole = model->hidden(pack(sequences));
  const torch::Tensor ids = torch::tensor({3, 5, 7, 2, 9, 11, 1}, torch::kInt64).unsqueeze(0);
  KvCache cache(model->config(), 1, torch::kFloat64, torch::kCPU);
  std::vector<torch::Tensor> parts = {model->hidden_cached(ids.slice(1, 0, 3), cache)[0]};
  EXPECT_GT(cache.bytes(), 0);
  KvCache other(model->config(), 1, torch::kFloat64, torch::kCPU);
  model->hidden_cached(torch::tensor({{std::int64_t{4}}}), other);
  cache.append(other);
  for (std::int64_t t = 3; t < 7; ++t) {
    const torch::Tensor both = torch::cat({ids.slice(1, t, t + 1), ids.slice(1, 0, 1)});
    parts.push_back(model->hidden_cached(both, cache)[0]);
  }
  EXPECT_TRUE(torch::allclose(torch::cat(parts), whole, 1e-9, 1e-9));
  cache.keep({0});
  expect_error(ErrorCode::kUnsupported, {"7 tokens", "back to 2"}, [&] { cache.truncate(2); });
}

} // namespace
} // namespace errata
