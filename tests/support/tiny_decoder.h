#pragma once

#include "core/base/random.h"
#include "core/decoder.h"
#include "core/generation.h"

#include <cmath>
#include <string>
#include <vector>

namespace errata::testing_support {

/// Gemma 3 in small and odd: grouped heads, a head size that is not hidden / heads, two sliding
/// layers with a window shorter than the test sequences, a global one with scaled positions.
inline DecoderConfig tiny_gemma3(std::int64_t window = 3) {
  DecoderConfig config;
  config.model_type = "gemma3_text";
  config.vocab_size = 29;
  config.hidden_size = 10;
  config.intermediate_size = 14;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 6;
  config.max_positions = 64;
  config.query_scale = 1.0 / std::sqrt(7.0);
  config.embedding_scale = std::sqrt(10.0);
  config.norm_adds_one = true;
  config.sandwich_norms = true;
  config.qk_norm = true;
  config.tie_word_embeddings = true;
  config.layers = {{window, {10000.0, 1.0}}, {window, {10000.0, 1.0}}, {0, {1e6, 8.0}}};
  return config;
}

/// The other side of every switch: Llama-like blocks, biases, an untied head, SiLU, a soft cap.
inline DecoderConfig tiny_llama() {
  DecoderConfig config = tiny_gemma3();
  config.model_type = "llama";
  config.num_heads = 3;
  config.num_kv_heads = 1;
  config.query_scale = 1.0 / std::sqrt(6.0);
  config.embedding_scale = 1.0;
  config.norm_adds_one = false;
  config.sandwich_norms = false;
  config.qk_norm = false;
  config.attention_bias = true;
  config.output_bias = true;
  config.tie_word_embeddings = false;
  config.activation = Activation::kSilu;
  config.final_logit_softcap = 2.0;
  config.layers = {{0, {}}, {0, {}}};
  return config;
}

/// A model of random weights, norms and biases included, large enough to be far from linear.
inline Decoder random_decoder(
    const DecoderConfig& config, torch::Dtype dtype = torch::kFloat64, double std = 0.4) {
  torch::manual_seed(7);
  Decoder model(config, torch::TensorOptions().dtype(torch::kFloat64));
  model->initialise(std);
  {
    const torch::NoGradGuard no_grad;
    for (torch::Tensor& parameter : model->parameters()) {
      if (parameter.dim() == 1) {
        parameter.add_(torch::randn_like(parameter), 0.2);
      }
    }
  }
  model->to(dtype);
  model->set_compute_dtype(dtype);
  return model;
}

/// `count` random sequences of 1 to `longest` tokens.
inline std::vector<Tokens> random_sequences(
    std::size_t count, std::int64_t longest, std::int64_t vocab, std::uint64_t seed = 3) {
  Random random(seed);
  std::vector<Tokens> sequences(count);
  for (Tokens& tokens : sequences) {
    tokens.resize(1 + random.index(static_cast<std::size_t>(longest)));
    for (std::int32_t& token : tokens) {
      token = static_cast<std::int32_t>(random.index(static_cast<std::size_t>(vocab)));
    }
  }
  return sequences;
}

inline double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

} // namespace errata::testing_support
