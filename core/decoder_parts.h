#pragma once

#include "core/decoder.h"
#include "core/decoder_layer.h"
#include "core/packed_attention.h"
#include "core/rope.h"
#include "core/torch.h"

#include <vector>

namespace errata {

/// The table of token vectors, `embed_tokens`.
class TokenEmbeddingImpl : public torch::nn::Module {
 public:
  TokenEmbeddingImpl(std::int64_t vocab, std::int64_t hidden, torch::TensorOptions options)
      : weight(register_parameter("weight", torch::empty({vocab, hidden}, options))) {}

  torch::Tensor weight; ///< [vocab, hidden]
};
TORCH_MODULE(TokenEmbedding);

/// The module `model` of a HF checkpoint: embedding, layers, final norm.
class BackboneImpl : public torch::nn::Module {
 public:
  BackboneImpl(const DecoderConfig& config, torch::TensorOptions options);

  TokenEmbedding embed_tokens{nullptr};
  std::vector<DecoderLayer> layers;
  RmsNorm norm{nullptr};
};
TORCH_MODULE(Backbone);

/// What a decoder is made of; the inside of `DecoderImpl`.
struct DecoderImpl::Parts {
  Parts(const DecoderConfig& config, torch::TensorOptions options);

  Backbone model;
  Linear lm_head{nullptr};              ///< empty when the head is tied to the embedding
  std::vector<RopeTable> ropes;         ///< one for each distinct RopeConfig
  std::vector<std::size_t> layer_ropes; ///< of each layer, its place in `ropes`

  DecoderLayer& layer(std::int64_t i) { return model->layers[static_cast<std::size_t>(i)]; }
  std::size_t rope_of_layer(std::int64_t i) const {
    return layer_ropes[static_cast<std::size_t>(i)];
  }
  /// Scaled token vectors [rows, hidden].
  torch::Tensor embed(const torch::Tensor& ids, const DecoderConfig& config, torch::Dtype dtype);
  /// Angles of `positions` (all below `limit`) for every entry of `ropes`.
  std::vector<RopeAngles> angles(
      const torch::Tensor& positions, std::int64_t limit, torch::Dtype dtype);
};

AttentionShape attention_shape(const DecoderConfig& config, std::int64_t layer);

} // namespace errata
