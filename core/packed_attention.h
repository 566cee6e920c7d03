#pragma once

#include "core/packed_batch.h"
#include "core/torch.h"

#include <cstdint>
#include <vector>

namespace errata {

struct AttentionShape {
  std::int64_t heads = 0;    ///< query heads; a multiple of kv_heads
  std::int64_t kv_heads = 0; ///< KV head g serves query heads [g * heads / kv_heads, ...)
  std::int64_t head_dim = 0;
  double scale = 1.0;      ///< factor of the scores
  std::int64_t window = 0; ///< keys a query sees, itself included; 0 for all
  double softcap = 0;      ///< scores s become softcap tanh(s / softcap) before the mask; 0: not
};

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

} // namespace errata
