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
///
/// Rows have places in memory that they keep: one that leaves frees its place for one that comes,
/// and nothing is moved.
class KvCache {
 public:
  /// `rows` empty sequences.
  KvCache(const DecoderConfig& config, std::int64_t rows, torch::Dtype dtype, torch::Device device);
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;
  KvCache(const KvCache&) = delete; // would share its memory
  KvCache& operator=(const KvCache&) = delete;
  ~KvCache() = default;

  std::int64_t rows() const { return static_cast<std::int64_t>(lengths_.size()); }
  /// Tokens seen by each row.
  const std::vector<std::int64_t>& lengths() const { return lengths_; }
  std::int64_t longest() const;
  /// Bytes of all keys and values held.
  std::int64_t bytes() const;

  /// Makes the rows `rows[0], rows[1], ...`, each at most once, the new batch.
  void keep(const std::vector<std::int64_t>& rows);
  /// A cache of the rows `rows[0], rows[1], ...`; a repeated one shares a beginning.
  KvCache copy(const std::vector<std::int64_t>& rows) const;
  /// Adds the rows of `other`, a cache of the same model, after the own ones.
  void append(const KvCache& other);
  /// The row becomes an empty sequence.
  void clear(std::int64_t row) { lengths_[static_cast<std::size_t>(row)] = 0; }
  /// Forgets what follows the first `length` tokens of each row. `kUnsupported` when a ring has
  /// already overwritten keys that the shorter sequence would see, or a recurrent state has gone
  /// on.
  void truncate(std::int64_t length);

  /// A pass begins that brings `steps[i]` tokens, one at least, to row i. Its rows of queries, keys
  /// and values lie end to end, sequence by sequence. Layers with recurrence want equal steps.
  void begin(std::vector<std::int64_t> steps);
  /// Positions of its tokens, int64 [rows of the pass].
  torch::Tensor next_positions() const;
  /// Lengths of their sequences with those tokens, int64 [rows of the pass].
  torch::Tensor next_lengths() const;
  /// One more than the last of the positions.
  std::int64_t next_longest() const;
  /// Adds the keys and values [rows of the pass, kv_heads * head_dim] to `layer` and returns the
  /// attention of their queries over all that each may see, [rows of the pass, heads * head_dim].
  /// On the CPU, in float32 and bfloat16, a kernel reads the keys where they lie.
  torch::Tensor attend(
      std::int64_t layer,
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      const AttentionShape& shape);
  /// Ends the pass, after the last layer.
  void advance();

  /// What a recurrent layer carries on; null for a layer with attention.
  RecurrentState* recurrent_state(std::int64_t layer);
  /// Rows whose first token comes next: bool [rows].
  torch::Tensor begins() const;

 private:
  struct Layer {
    std::int64_t window = 0; ///< 0: no ring
    torch::Tensor keys; ///< [places, kv_heads, capacity, head_dim]; position p in slot p % window
    torch::Tensor values;
    std::optional<RecurrentState> recurrent; ///< instead of keys and values

    std::int64_t capacity() const { return keys.size(2); }
    std::int64_t slots_for(std::int64_t length) const;
    void grow(std::int64_t places, std::int64_t slots);
  };
  /// Rows of one number of steps.
  struct Group {
    std::int64_t first; ///< row of the batch
    LengthGroup rows;   ///< of the pass
  };

  KvCache(torch::TensorOptions options) : options_(std::move(options)) {}
  std::vector<Group> groups() const;
  void reserve(Layer& layer, std::int64_t length) const;
  void write(Layer& layer, const torch::Tensor& k, const torch::Tensor& v) const;
  bool sees_all_slots(const Layer& layer) const;
  torch::Tensor attend_in_place(
      const Layer& layer, const torch::Tensor& q, const AttentionShape& shape) const;
  torch::Tensor attend_one(
      const Layer& layer, const torch::Tensor& q, const AttentionShape& shape) const;
  torch::Tensor attend_many(
      const Layer& layer,
      const Group& group,
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      const AttentionShape& shape) const;
  torch::Tensor held(const torch::Tensor& x, const Group& group, std::int64_t used) const;
  torch::Tensor lengths_tensor() const;
  torch::Tensor places_tensor() const;

  std::vector<Layer> layers_;
  std::vector<std::int64_t> lengths_;
  std::vector<std::int64_t> places_; ///< of each row
  std::vector<std::int64_t> free_;   ///< places of no row
  std::vector<std::int64_t> steps_;  ///< of each row in this pass
  torch::TensorOptions options_;
};

} // namespace errata
