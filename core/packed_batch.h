#pragma once

#include "core/torch.h"

#include <cstdint>
#include <span>
#include <vector>

namespace errata {

/// Sequences of one length, one after the other: sequence i is rows
/// [first_row + i * length, first_row + (i + 1) * length).
struct LengthGroup {
  std::int64_t first_row = 0;
  std::int64_t count = 0;
  std::int64_t length = 0;
};

/// Sequences laid end to end without padding. Linear layers see one matrix `[rows, hidden]`;
/// attention runs group by group, where it needs no mask but the causal one.
struct PackedBatch {
  torch::Tensor ids; ///< int64 [rows]
  std::vector<LengthGroup> groups;
  /// order[k] is the caller's index of the k-th packed sequence.
  std::vector<std::size_t> order;
  /// first_row[i] is the first row of the caller's sequence i.
  std::vector<std::int64_t> first_row;

  std::int64_t rows() const { return ids.size(0); }

  /// Appends rows of token 0 that belong to no sequence, up to `count` rows. What is computed from
  /// them means nothing, and nothing else depends on them.
  void fill_to(std::int64_t count);
};

/// A batch with `length` further rows before each sequence of another one.
struct PrefixedBatch {
  PackedBatch batch;         ///< token 0 in the further rows
  torch::Tensor rows;        ///< where the rows of the other one are now, int64
  torch::Tensor prefix_rows; ///< the further ones, sequence by sequence, int64
};
PrefixedBatch with_prefix(const PackedBatch& batch, std::int64_t length);

/// Packs `sequences` (none empty), the shortest first; ties keep the caller's order.
PackedBatch pack(
    std::span<const std::vector<std::int32_t>> sequences, torch::Device device = torch::kCPU);

} // namespace errata
