#pragma once

#include "core/attention_shape.h"
#include "core/packed_batch.h"
#include "core/padded_attention.h"
#include "core/torch.h"

#include <optional>
#include <vector>

namespace errata {

/// Scores, already scaled, within the cap of `shape`, in place.
void cap_scores_(torch::Tensor& scores, const AttentionShape& shape);

/// Causal attention of many sequences that lie end to end, each seeing itself only. `q` is
/// [rows, heads * head_dim] (or [rows, heads, head_dim]), `k` and `v` likewise with kv_heads; the
/// result is [rows, heads * head_dim]. `groups` cover the first rows; those behind them become
/// zero.
///
/// Sequences that core/packed_attention_short.h takes go through its kernels. Otherwise scores are
/// products of explicit matrices, sequences of one length and the query heads of one KV head
/// together: for short sequences this is several times faster, above all backward, than a fused
/// kernel that works a head at a time. Long sequences go in blocks of queries whose scores the
/// backward pass computes again, so that memory stays linear.
torch::Tensor packed_attention(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<LengthGroup>& groups,
    const AttentionShape& shape);

/// The same for all layers of a pass. On other devices than the CPU, where every launch costs the
/// same however small it is, sequences are padded to one length for a fused kernel; the places are
/// worked out once.
class PackedAttention {
 public:
  PackedAttention(std::vector<LengthGroup> groups, torch::Device device);
  /// Of the rows of `batch`, which may have shared prefixes.
  PackedAttention(const PackedBatch& batch, torch::Device device);

  torch::Tensor operator()(
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      const AttentionShape& shape) const;

 private:
  torch::Tensor at_places(
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      const AttentionShape& shape) const;

  std::vector<LengthGroup> groups_;
  std::optional<SharedPrefixes> prefixes_;
  std::optional<PaddedPlaces> padded_;
};

} // namespace errata
