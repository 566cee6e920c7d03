#pragma once

#include "core/decoder.h"
#include "core/packed_batch.h"

#include <cstdint>
#include <vector>

namespace errata::testing_support {

/// Its weights are random, from a seed, and need no gradient.
inline Decoder random_decoder(const DecoderConfig& config, torch::Dtype dtype) {
  torch::manual_seed(1);
  Decoder decoder(config, torch::TensorOptions().dtype(dtype));
  decoder->initialise(0.1);
  for (auto& parameter : decoder->parameters()) {
    parameter.requires_grad_(false);
  }
  return decoder;
}

/// A random decoder with Gemma 3's features in odd sizes: 12 layers, so that layer numbers have one
/// and two digits.
inline Decoder tiny_decoder(std::int64_t num_layers = 12, torch::Dtype dtype = torch::kFloat32) {
  DecoderConfig config;
  config.model_type = "gemma3_text";
  config.vocab_size = 50;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  config.max_positions = 64;
  config.query_scale = 0.35;
  config.embedding_scale = 4.9;
  config.norm_adds_one = true;
  config.sandwich_norms = true;
  config.qk_norm = true;
  config.tie_word_embeddings = true;
  for (std::int64_t i = 0; i < num_layers; ++i) {
    config.layers.push_back({i % 2 == 0 ? 4 : 0, RopeConfig{}});
  }
  return random_decoder(config, dtype);
}

/// One of the same sizes with Llama's features.
inline Decoder tiny_llama(std::int64_t num_layers = 12) {
  DecoderConfig config;
  config.model_type = "llama";
  config.vocab_size = 50;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  config.max_positions = 64;
  config.query_scale = 0.35;
  config.activation = Activation::kSilu;
  config.layers.resize(static_cast<std::size_t>(num_layers));
  return random_decoder(config, torch::kFloat32);
}

inline Decoder with_random_biases(Decoder decoder) {
  const torch::NoGradGuard no_grad;
  for (auto& item : decoder->named_parameters()) {
    if (item.key().ends_with("bias")) {
      item.value().normal_(0, 0.3);
    }
  }
  return decoder;
}

/// `tiny_decoder` with biases of attention and MLP that are not zero.
inline Decoder biased_decoder(torch::Dtype dtype = torch::kFloat32) {
  DecoderConfig config = tiny_decoder(3)->config();
  config.attention_bias = config.mlp_bias = true;
  return with_random_biases(random_decoder(config, dtype));
}

inline PackedBatch tiny_batch(torch::Device device = torch::kCPU) {
  const std::vector<std::vector<std::int32_t>> sequences{{2, 7, 9, 11, 30}, {2, 40, 3}, {2, 1, 49}};
  return pack(sequences, device);
}

/// Log-probabilities of the whole vocabulary at each row [rows, vocab], float32, on the CPU.
inline torch::Tensor log_probabilities(Decoder& decoder) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor logits = decoder->logits(decoder->hidden(tiny_batch(decoder->device())));
  return torch::log_softmax(logits.to(torch::kFloat32), -1).cpu();
}

/// Rows asked for alone are those of the whole pass, whatever is attached.
inline void expect_wanted_rows(Decoder& decoder) {
  const torch::NoGradGuard no_grad;
  const PackedBatch batch = tiny_batch();
  const torch::Tensor rows = torch::tensor({10, 3, 3, 6}, torch::kInt64);
  const torch::Tensor whole = decoder->hidden(batch).index_select(0, rows);
  EXPECT_LT((decoder->hidden(batch, rows) - whole).abs().max().item<double>(), 2e-5);
}

} // namespace errata::testing_support
