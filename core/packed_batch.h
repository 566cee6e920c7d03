#pragma once

#include "core/torch.h"

#include <cstdint>
#include <optional>
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

/// Where the rows of a batch are that computes what several sequences begin with once. A place is a
/// token of a sequence when sequences lie end to end; many places may have one row.
struct SharedPrefixes {
  std::vector<std::int64_t> row_at; ///< the row of each place
  /// How many leading places of each packed sequence have rows of sequences elsewhere. Its own rows
  /// follow each other.
  std::vector<std::int64_t> shared;
  torch::Tensor rows;   ///< `row_at`, int64 [places]
  torch::Tensor places; ///< a place of each row, int64 [rows]; the first in rows of no sequence
};

/// For each row the sum over its places, in float32 at least and in their order: `x` [places, ...],
/// `rows` of each place; the result [count, ...] is of the dtype of `x`.
torch::Tensor sum_of_places(const torch::Tensor& x, const torch::Tensor& rows, std::int64_t count);

/// Sequences laid end to end without padding. Linear layers see one matrix `[rows, hidden]`;
/// attention runs group by group, where it needs no mask but the causal one.
struct PackedBatch {
  torch::Tensor ids; ///< int64 [rows]
  /// Of rows; with `prefixes`, of places.
  std::vector<LengthGroup> groups;
  /// order[k] is the caller's index of the k-th packed sequence.
  std::vector<std::size_t> order;
  /// The place of the first token of the caller's sequence i.
  std::vector<std::int64_t> first_place;
  /// Without, each place is a row.
  std::optional<SharedPrefixes> prefixes;

  std::int64_t rows() const { return ids.size(0); }
  std::int64_t row_at(std::int64_t place) const {
    return prefixes ? prefixes->row_at[static_cast<std::size_t>(place)] : place;
  }
  /// The row of token `t` of the caller's sequence i.
  std::int64_t row_of(std::size_t i, std::int64_t t) const { return row_at(first_place[i] + t); }

  /// Appends rows of token 0 that belong to no sequence, up to `count` rows. What is computed from
  /// them means nothing, and nothing else depends on them.
  void fill_to(std::int64_t count);

  /// Sequences that begin with the same tokens get one row for each of them: in a causal model
  /// these are the same numbers. Where that saves less than a twentieth the batch stays as it is;
  /// of the rows that it will have with `prompt` further ones before each sequence, which are
  /// shared too. Call it before `fill_to`.
  void share_prefixes(std::int64_t prompt = 0);
};

/// A batch with `length` further rows before each sequence of another one, or before all of them
/// where these share what they begin with.
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
