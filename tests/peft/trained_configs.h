#pragma once

#include "peft/adapter.h"
#include "tests/peft/tiny_decoder.h"

#include <string>
#include <utility>
#include <vector>

// Configs of adapters of embeddings and the head, and of what is trained whole beside adapters.

namespace errata::testing_support {

using peft::AdapterConfig;
using peft::LoraInit;
using peft::TrainedBias;

/// GPT-2's features: learned positions, LayerNorms, biases and one matrix for queries, keys and
/// values, which its files have the other way round; a tied head.
inline Decoder tiny_gpt2(torch::Dtype dtype = torch::kFloat32) {
  DecoderConfig config = tiny_llama(2)->config();
  config.model_type = "gpt2";
  config.names = kGpt2Names;
  config.num_kv_heads = 4;
  config.head_dim = 6;
  config.norm = NormKind::kLayer;
  config.activation = Activation::kGeluTanh;
  config.attention_bias = config.output_bias = config.mlp_bias = true;
  config.transposed_files = config.tie_word_embeddings = true;
  return with_random_biases(random_decoder(config, dtype));
}

inline AdapterConfig on(std::vector<std::string> targets) {
  AdapterConfig config;
  config.r = 3;
  config.lora_alpha = 2;
  config.target_modules = std::move(targets);
  return config;
}

inline AdapterConfig with_bias(AdapterConfig config, TrainedBias bias) {
  config.trained_bias = bias;
  return config;
}

inline AdapterConfig with_copies(AdapterConfig config, std::vector<std::string> modules) {
  config.modules_to_save = std::move(modules);
  return config;
}

inline AdapterConfig dora(AdapterConfig config) {
  config.use_dora = true;
  return config;
}

inline AdapterConfig pissa(AdapterConfig config) {
  config.init = LoraInit::kPissa;
  return config;
}

inline AdapterConfig of_type(const std::string& type, AdapterConfig config) {
  config.peft_type = type;
  config.adalora.init_r = 3;
  config.adalora.target_r = 2;
  return config;
}

} // namespace errata::testing_support
