#pragma once

#include "core/decoder_config.h"
#include "core/packed_attention.h"
#include "core/recurrent_block.h"
#include "core/torch.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace errata {

/// Keys and values (after rotation) of a batch of sequences whose lengths may differ. A layer with
/// a sliding window keeps a ring of `window` positions, so its memory is bounded and what it
/// computes past the window is exact; a recurrent layer keeps its state alone. Inference only.
class KvCache {
 public:
  /// `rows` empty sequences.
  KvCache(const DecoderConfig& config, std::int64_t rows, torch::Dtype dtype, torch::Device device);

  std::int64_t rows() const { return static_cast<std::int64_t>(lengths_.size()); }
  /// Tokens seen by each row.
  const std::vector<std::int64_t>& lengths() const { return lengths_; }
  std::int64_t longest() const;
  /// Bytes of all keys and values held.
  std::int64_t bytes() const;

  /// Makes the rows `rows[0], rows[1], ...` the new batch. A row may be left out, or repeated to
  /// share a common beginning.
  void keep(const std::vector<std::int64_t>& rows);
  /// Adds the rows of `other`, a cache of the same model, after the own ones.
  void append(const KvCache& other);
  /// Forgets what follows the first `length` tokens of each row. `kUnsupported` when a ring has
  /// already overwritten keys that the shorter sequence would see, or a recurrent state has gone
  /// on.
  void truncate(std::int64_t length);

  /// Positions of the next `steps` tokens of every row, int64 [rows * steps].
  torch::Tensor next_positions(std::int64_t steps) const;
  /// Lengths of their sequences with those tokens, int64 [rows * steps].
  torch::Tensor next_lengths(std::int64_t steps) const;
  /// Adds the keys and values [rows * steps, kv_heads * head_dim] of the next tokens to `layer` and
  /// returns the attention of their queries over all that each may see,
  /// [rows * steps, heads * head_dim]. Call `advance` after the last layer.
  torch::Tensor attend(
      std::int64_t layer,
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      const AttentionShape& shape);
  void advance(std::int64_t steps);

  /// What a recurrent layer carries on; null for a layer with attention.
  RecurrentState* recurrent_state(std::int64_t layer);
  /// Rows whose first token comes next: bool [rows].
  torch::Tensor begins() const;

 private:
  struct Layer {
    std::int64_t window = 0; ///< 0: no ring
    torch::Tensor keys; ///< [rows, kv_heads, capacity, head_dim]; position p in slot p % window
    torch::Tensor values;
    std::optional<RecurrentState> recurrent; ///< instead of keys and values

    std::int64_t capacity() const { return keys.size(2); }
    std::int64_t slots_for(std::int64_t length) const;
    void grow(std::int64_t slots);
  };

  void reserve(Layer& layer, std::int64_t length) const;
  void write(
      Layer& layer, const torch::Tensor& k, const torch::Tensor& v, std::int64_t steps) const;
  torch::Tensor attend_one(
      const Layer& layer, const torch::Tensor& q, const AttentionShape& shape) const;
  torch::Tensor attend_many(
      const Layer& layer,
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      const AttentionShape& shape) const;
  torch::Tensor lengths_tensor() const;

  std::vector<Layer> layers_;
  std::vector<std::int64_t> lengths_;
  torch::TensorOptions options_;
};

} // namespace errata
