#include "core/packed_batch.h"

#include "core/base/error.h"

#include <algorithm>
#include <numeric>

namespace errata {

void PackedBatch::fill_to(std::int64_t count) {
  if (count > rows()) {
    ids = torch::cat({ids, torch::zeros({count - rows()}, ids.options())});
  }
}

PrefixedBatch with_prefix(const PackedBatch& batch, std::int64_t length) {
  PrefixedBatch result;
  result.batch.order = batch.order;
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> prefix;
  std::int64_t next = 0;
  for (const LengthGroup& group : batch.groups) {
    result.batch.groups.push_back({next, group.count, group.length + length});
    for (std::int64_t i = 0; i < group.count; ++i) {
      for (std::int64_t k = 0; k < length; ++k) {
        prefix.push_back(next++);
      }
      for (std::int64_t k = 0; k < group.length; ++k) {
        rows.push_back(next++);
      }
    }
  }
  while (static_cast<std::int64_t>(rows.size()) < batch.rows()) { // rows of no sequence
    rows.push_back(next++);
  }
  for (const std::int64_t first : batch.first_row) {
    result.batch.first_row.push_back(rows[static_cast<std::size_t>(first)] - length);
  }
  const torch::Device device = batch.ids.device();
  result.rows = torch::tensor(rows, torch::kInt64).to(device);
  result.prefix_rows = torch::tensor(prefix, torch::kInt64).to(device);
  result.batch.ids =
      torch::zeros({next}, batch.ids.options()).index_copy(0, result.rows, batch.ids);
  return result;
}

PackedBatch pack(std::span<const std::vector<std::int32_t>> sequences, torch::Device device) {
  PackedBatch batch;
  batch.order.resize(sequences.size());
  std::iota(batch.order.begin(), batch.order.end(), std::size_t{0});
  std::stable_sort(batch.order.begin(), batch.order.end(), [&](std::size_t a, std::size_t b) {
    return sequences[a].size() < sequences[b].size();
  });
  std::size_t rows = 0;
  for (const auto& sequence : sequences) {
    rows += sequence.size();
  }
  batch.first_row.resize(sequences.size());
  batch.ids = torch::empty({static_cast<std::int64_t>(rows)}, torch::kInt64);
  auto* next = batch.ids.data_ptr<std::int64_t>();
  const auto* const begin = next;
  for (const std::size_t index : batch.order) {
    const auto& sequence = sequences[index];
    ERRATA_CHECK(
        !sequence.empty(), ErrorCode::kInvalidArgument, "sequence ", index, " has no tokens");
    const std::int64_t row = next - begin;
    const auto length = static_cast<std::int64_t>(sequence.size());
    if (batch.groups.empty() || batch.groups.back().length != length) {
      batch.groups.push_back({row, 0, length});
    }
    ++batch.groups.back().count;
    batch.first_row[index] = row;
    next = std::copy(sequence.begin(), sequence.end(), next);
  }
  batch.ids = batch.ids.to(device);
  return batch;
}

} // namespace errata
