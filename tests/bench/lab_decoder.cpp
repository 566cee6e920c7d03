#include "tests/bench/lab_decoder.h"

#include "core/base/random.h"

namespace errata::bench {
namespace {

DecoderConfig lab_config() {
  DecoderConfig config;
  config.model_type = "gemma3_text";
  config.vocab_size = 4096;
  config.hidden_size = 256;
  config.intermediate_size = 1024;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 64;
  config.max_positions = 512;
  config.query_scale = 0.125;
  config.embedding_scale = 16.0;
  config.norm_adds_one = true;
  config.sandwich_norms = true;
  config.qk_norm = true;
  config.tie_word_embeddings = true;
  config.layers = {{512, {}}, {512, {}}, {0, {1e6, 1.0}}, {512, {}}};
  return config;
}

} // namespace

Decoder lab_decoder(torch::Dtype dtype) {
  Decoder model(lab_config(), torch::TensorOptions().dtype(dtype));
  torch::manual_seed(1);
  model->initialise();
  return model;
}

std::vector<Tokens> sequences(std::int64_t tokens, std::size_t least, std::size_t spread) {
  Random random(2);
  std::vector<Tokens> all;
  while (tokens > 0) {
    Tokens& sequence = all.emplace_back(least + random.index(spread));
    for (std::int32_t& token : sequence) {
      token = static_cast<std::int32_t>(random.index(4096));
    }
    tokens -= static_cast<std::int64_t>(sequence.size());
  }
  return all;
}

} // namespace errata::bench
