#include "core/packed_batch.h"

#include "core/autograd.h"
#include "core/base/error.h"
#include "core/kernel_tensors.h"

#include <algorithm>
#include <numeric>

namespace errata {
namespace {

// A layout with gathers is worth it from here: rows saved of all.
constexpr double kLeastSaving = 0.05;

struct PackedSequence {
  std::int64_t place;
  std::span<const std::int64_t> tokens;
};

std::vector<PackedSequence> sequences_of(const PackedBatch& batch, const torch::Tensor& ids) {
  std::vector<PackedSequence> sequences;
  for (const LengthGroup& group : batch.groups) {
    for (std::int64_t i = 0; i < group.count; ++i) {
      const std::int64_t place = group.first_row + i * group.length;
      sequences.push_back(
          {place, {ids.data_ptr<std::int64_t>() + place, static_cast<std::size_t>(group.length)}});
    }
  }
  return sequences;
}

} // namespace

torch::Tensor sum_of_places(const torch::Tensor& x, const torch::Tensor& rows, std::int64_t count) {
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.front() = count;
  const torch::Tensor sums =
      torch::zeros(sizes, x.options().dtype(statistics_dtype(x.scalar_type())));
  if (kernels_take(x)) {
    const torch::Tensor from = x.contiguous();
    with_kernel_type(x.scalar_type(), [&](auto type) {
      kernels::add_rows(
          sums.numel() / std::max<std::int64_t>(1, count),
          rows.size(0),
          rows.data_ptr<std::int64_t>(),
          kernel_data<decltype(type)>(from),
          kernel_data<float>(sums));
    });
  } else {
    sums.index_add_(0, rows, x.to(sums.scalar_type()));
  }
  return sums.to(x.scalar_type());
}

void PackedBatch::fill_to(std::int64_t count) {
  const std::int64_t missing = count - rows();
  if (missing <= 0) {
    return;
  }
  ids = torch::cat({ids, torch::zeros({missing}, ids.options())});
  if (prefixes) {
    torch::Tensor& places = prefixes->places;
    places = torch::cat({places, torch::zeros({missing}, places.options())});
  }
}

// In the order of a dictionary each sequence shares most with the one before it.
void PackedBatch::share_prefixes(std::int64_t prompt) {
  const torch::Tensor tokens = ids.cpu();
  const std::vector<PackedSequence> sequences = sequences_of(*this, tokens);
  std::vector<std::size_t> sorted(sequences.size());
  std::iota(sorted.begin(), sorted.end(), std::size_t{0});
  std::stable_sort(sorted.begin(), sorted.end(), [&](std::size_t a, std::size_t b) {
    return std::ranges::lexicographical_compare(sequences[a].tokens, sequences[b].tokens);
  });
  SharedPrefixes found;
  found.row_at.resize(static_cast<std::size_t>(ids.size(0)));
  found.shared.resize(sequences.size());
  std::vector<std::int64_t> places;
  const PackedSequence* before = nullptr;
  for (const std::size_t index : sorted) {
    const PackedSequence& own = sequences[index];
    std::int64_t shared = 0;
    if (before != nullptr) {
      shared = std::ranges::mismatch(own.tokens, before->tokens).in1 - own.tokens.begin();
      std::copy_n(found.row_at.begin() + before->place, shared, found.row_at.begin() + own.place);
    }
    found.shared[index] = shared;
    for (std::int64_t t = shared; t < std::ssize(own.tokens); ++t) {
      found.row_at[static_cast<std::size_t>(own.place + t)] = std::ssize(places);
      places.push_back(own.place + t);
    }
    before = &own;
  }
  const std::int64_t unshared = prompt * std::ssize(sequences) + ids.size(0);
  const std::int64_t rows_left = prompt + std::ssize(places);
  if (static_cast<double>(rows_left) > (1 - kLeastSaving) * static_cast<double>(unshared)) {
    return;
  }
  found.rows = torch::tensor(found.row_at, torch::kInt64).to(ids.device());
  found.places = torch::tensor(places, torch::kInt64).to(ids.device());
  ids = ids.index_select(0, found.places);
  prefixes = std::move(found);
}

namespace {

// The further rows come first, and belong to the sequence that has the first row.
PrefixedBatch with_shared_prefix(const PackedBatch& batch, std::int64_t length) {
  const torch::TensorOptions options = batch.ids.options();
  PrefixedBatch result;
  result.rows = torch::arange(length, length + batch.rows(), options);
  result.prefix_rows = torch::arange(length, options);
  result.batch.order = batch.order;
  result.batch.ids = torch::cat({torch::zeros({length}, options), batch.ids});
  const SharedPrefixes& old = *batch.prefixes;
  SharedPrefixes& now = result.batch.prefixes.emplace();
  std::vector<std::int64_t> moved(old.row_at.size()); // where each place is now
  std::int64_t first = 0;                             // of the sequence that has the first row
  for (const LengthGroup& group : batch.groups) {
    result.batch.groups.push_back({std::ssize(now.row_at), group.count, group.length + length});
    for (std::int64_t i = 0; i < group.count; ++i) {
      const std::int64_t place = group.first_row + i * group.length;
      const std::int64_t shared = old.shared[now.shared.size()];
      const bool owner = shared == 0 && batch.row_at(place) == 0;
      first = owner ? std::ssize(now.row_at) : first;
      now.shared.push_back(owner ? 0 : shared + length);
      for (std::int64_t k = 0; k < length; ++k) {
        now.row_at.push_back(k);
      }
      for (std::int64_t k = 0; k < group.length; ++k) {
        moved[static_cast<std::size_t>(place + k)] = std::ssize(now.row_at);
        now.row_at.push_back(length + batch.row_at(place + k));
      }
    }
  }
  for (const std::int64_t place : batch.first_place) {
    result.batch.first_place.push_back(moved[static_cast<std::size_t>(place)] - length);
  }
  now.rows = torch::tensor(now.row_at, torch::kInt64).to(options.device());
  now.places = torch::cat(
      {torch::arange(first, first + length, options),
       torch::tensor(moved, torch::kInt64).to(options.device()).index_select(0, old.places)});
  return result;
}

} // namespace

PrefixedBatch with_prefix(const PackedBatch& batch, std::int64_t length) {
  if (batch.prefixes) {
    return with_shared_prefix(batch, length);
  }
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
  for (const std::int64_t first : batch.first_place) {
    result.batch.first_place.push_back(rows[static_cast<std::size_t>(first)] - length);
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
  batch.first_place.resize(sequences.size());
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
    batch.first_place[index] = row;
    next = std::copy(sequence.begin(), sequence.end(), next);
  }
  batch.ids = batch.ids.to(device);
  return batch;
}

} // namespace errata
