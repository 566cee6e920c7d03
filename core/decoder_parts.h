#pragma once

#include "core/decoder.h"
#include "core/decoder_layer.h"
#include "core/norm.h"
#include "core/packed_attention.h"
#include "core/rope.h"
#include "core/token_embedding.h"
#include "core/torch.h"

#include <vector>

namespace errata {

/// The root module of a HF checkpoint (`model`): embedding, layers, final norm.
class BackboneImpl : public torch::nn::Module {
 public:
  BackboneImpl(const DecoderConfig& config, torch::TensorOptions options);

  TokenEmbedding embedding{nullptr};
  TokenEmbedding positions{nullptr}; ///< [max_positions, hidden]; empty where positions rotate
  std::vector<DecoderLayer> layers;
  Norm norm;
};
TORCH_MODULE(Backbone);

/// What a decoder is made of; the inside of `DecoderImpl`.
struct DecoderImpl::Parts {
  Parts(const DecoderConfig& config, torch::TensorOptions options);

  Backbone model;
  Linear lm_head{nullptr};              ///< has the embedding's weight when it is tied to it
  std::vector<RopeTable> ropes;         ///< one for each distinct RopeConfig
  std::vector<std::size_t> layer_ropes; ///< of each layer, its place in `ropes`

  DecoderLayer& layer(std::int64_t i) { return model->layers[static_cast<std::size_t>(i)]; }
  /// The entry of `angles` for a layer; undefined angles where nothing turns.
  RopeAngles of_layer(const std::vector<RopeAngles>& angles, std::int64_t i) const {
    return angles.empty() ? RopeAngles{} : angles[layer_ropes[static_cast<std::size_t>(i)]];
  }
  /// Whether `angles` needs the lengths of sequences.
  bool looks_at_lengths() const;
  /// Scaled token vectors [rows, hidden], with those of their positions (all below `limit`) where
  /// positions are learned; elsewhere `positions` may be undefined.
  torch::Tensor embed(
      const torch::Tensor& ids,
      const torch::Tensor& positions,
      std::int64_t limit,
      const DecoderConfig& config,
      torch::Dtype dtype);
  /// `x` with `vectors` [length, hidden] in `rows`, once a sequence; `positions` of all rows where
  /// positions are learned.
  torch::Tensor put_vectors(
      const torch::Tensor& x,
      const torch::Tensor& rows,
      const torch::Tensor& vectors,
      const torch::Tensor& positions,
      const DecoderConfig& config);
  /// Angles of `positions` (all below `limit`, in sequences of `lengths`) for every entry of
  /// `ropes`; without `looks_at_lengths` they may be undefined.
  std::vector<RopeAngles> angles(
      const torch::Tensor& positions,
      const torch::Tensor& lengths,
      std::int64_t limit,
      torch::Dtype dtype);
};

AttentionShape attention_shape(const DecoderConfig& config, std::int64_t layer);

} // namespace errata
