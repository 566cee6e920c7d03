#pragma once

#include "core/attention_shape.h"
#include "core/packed_batch.h"
#include "core/torch.h"

#include <cstdint>
#include <vector>

namespace errata {

/// Where packed rows are when every sequence is padded to the longest.
struct PaddedPlaces {
  std::int64_t count = 0;   ///< sequences
  std::int64_t longest = 0; ///< tokens of each, padded
  torch::Tensor taken;      ///< the row at each place, int64 [count * longest]
  torch::Tensor kept;       ///< the place of each row, int64 [rows]
};

/// `groups` cover all rows from the first. A place behind a sequence's end takes its last row.
PaddedPlaces padded_places(const std::vector<LengthGroup>& groups, torch::Device device);

/// True when padding at most doubles the rows.
bool is_worth_padding(const std::vector<LengthGroup>& groups);

/// Causal attention as in core/packed_attention.h, without a cap on the scores, by one call of
/// LibTorch's fused attention, which makes its own graph. `q` [rows, heads, head_dim], `k` and `v`
/// [rows, kv_heads, head_dim]; the result is like `q`.
torch::Tensor padded_attention(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const PaddedPlaces& places,
    const AttentionShape& shape);

} // namespace errata
