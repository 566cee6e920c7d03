#include "core/packed_attention_short.h"

#include "core/kernel_tensors.h"

#include <algorithm>

namespace errata {
namespace {

// Longest sequence: the matrices of one then take half a megabyte at 64 numbers a head, and most of
// a level-2 cache.
constexpr std::int64_t kLongest = 128;

kernels::Attention kernel_shape(const AttentionShape& shape) {
  return {
      shape.heads,
      shape.kv_heads,
      shape.head_dim,
      shape.window,
      static_cast<float>(shape.scale),
      static_cast<float>(shape.softcap)};
}

struct Sequence {
  std::int64_t place; ///< of its keys and values
  std::int64_t row;   ///< of its queries
  kernels::SequenceLength length;

  std::int64_t queries() const { return length.length - length.before; }
};

std::vector<Sequence> sequences_of(
    const std::vector<LengthGroup>& groups, const SharedPrefixes* prefixes) {
  std::vector<Sequence> sequences;
  for (const LengthGroup& group : groups) {
    for (std::int64_t i = 0; i < group.count; ++i) {
      const std::int64_t place = group.first_row + i * group.length;
      const std::int64_t before = prefixes != nullptr ? prefixes->shared[sequences.size()] : 0;
      if (before == group.length) { // nothing of its own
        sequences.push_back({place, 0, {group.length, before}});
        continue;
      }
      const std::int64_t row =
          prefixes != nullptr ? prefixes->rows.data_ptr<std::int64_t>()[place + before] : place;
      sequences.push_back({place, row, {group.length, before}});
    }
  }
  return sequences;
}

// Calls `work(sequence, scratch)` for each sequence. Groups go from short to long, so each thread
// takes every `parts`-th.
template <typename Work>
void for_each_sequence(
    const std::vector<Sequence>& sequences, const kernels::Attention& shape, const Work& work) {
  std::int64_t rows = 0;
  std::int64_t longest = 0;
  for (const Sequence& sequence : sequences) {
    rows += sequence.queries();
    longest = std::max(longest, sequence.length.length);
  }
  const std::int64_t scratch = kernels::attention_scratch(shape, longest);
  const auto parts =
      std::min<std::int64_t>(at::get_num_threads(), static_cast<std::int64_t>(sequences.size()));
  const std::int64_t cost = rows * shape.heads * shape.head_dim;
  parallel_rows(parts, cost / std::max<std::int64_t>(1, parts), [&](auto begin, auto end) {
    std::vector<float> memory(static_cast<std::size_t>(scratch));
    for (std::int64_t part = begin; part < end; ++part) {
      for (auto i = static_cast<std::size_t>(part); i < sequences.size();
           i += static_cast<std::size_t>(parts)) {
        work(sequences[i], memory.data());
      }
    }
  });
}

// Rows that belong to no sequence.
void clear_rest(const torch::Tensor& x, const std::vector<Sequence>& sequences) {
  std::int64_t end = 0;
  for (const Sequence& sequence : sequences) {
    end = std::max(end, sequence.row + sequence.queries());
  }
  if (end < x.size(0)) {
    x.narrow(0, end, x.size(0) - end).zero_();
  }
}

torch::Tensor at_places(const torch::Tensor& x, const SharedPrefixes* prefixes) {
  return prefixes != nullptr ? x.index_select(0, prefixes->rows) : x.contiguous();
}

} // namespace

bool is_short_attention(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<LengthGroup>& groups) {
  return kernels_take(q, k, v) &&
         std::all_of(groups.begin(), groups.end(), [](const LengthGroup& group) {
           return group.length <= kLongest;
         });
}

ShortAttention short_attention(
    const torch::Tensor& query,
    const torch::Tensor& key,
    const torch::Tensor& value,
    const std::vector<LengthGroup>& groups,
    const SharedPrefixes* prefixes,
    const AttentionShape& shape) {
  const std::vector<Sequence> sequences = sequences_of(groups, prefixes);
  const torch::Tensor q = query.contiguous();
  const torch::Tensor k = at_places(key, prefixes);
  const torch::Tensor v = at_places(value, prefixes);
  const ShortAttention result{
      torch::empty(q.sizes(), q.options()),
      torch::empty({q.size(0), shape.heads}, q.options().dtype(torch::kFloat32))};
  const kernels::Attention kernel = kernel_shape(shape);
  const std::int64_t width = shape.heads * shape.head_dim;
  const std::int64_t kv_width = shape.kv_heads * shape.head_dim;
  with_kernel_type(q.scalar_type(), [&](auto type) {
    using T = decltype(type);
    for_each_sequence(sequences, kernel, [&](const Sequence& sequence, float* scratch) {
      kernels::attention_forward(
          kernel,
          sequence.length,
          kernel_data<T>(q) + sequence.row * width,
          kernel_data<T>(k) + sequence.place * kv_width,
          kernel_data<T>(v) + sequence.place * kv_width,
          kernel_data<T>(result.out) + sequence.row * width,
          kernel_data<float>(result.log_sums) + sequence.row * shape.heads,
          scratch);
    });
  });
  clear_rest(result.out, sequences);
  return result;
}

AttentionGradients short_attention_backward(
    const torch::Tensor& query,
    const torch::Tensor& key,
    const torch::Tensor& value,
    const torch::Tensor& log_sums,
    const torch::Tensor& gradient,
    const std::vector<LengthGroup>& groups,
    const SharedPrefixes* prefixes,
    const AttentionShape& shape) {
  const std::vector<Sequence> sequences = sequences_of(groups, prefixes);
  const torch::Tensor q = query.contiguous();
  const torch::Tensor k = at_places(key, prefixes);
  const torch::Tensor v = at_places(value, prefixes);
  const torch::Tensor grad = gradient.contiguous();
  AttentionGradients result{
      torch::empty(q.sizes(), q.options()),
      torch::empty(k.sizes(), k.options()),
      torch::empty(v.sizes(), v.options())};
  const kernels::Attention kernel = kernel_shape(shape);
  const std::int64_t width = shape.heads * shape.head_dim;
  const std::int64_t kv_width = shape.kv_heads * shape.head_dim;
  with_kernel_type(q.scalar_type(), [&](auto type) {
    using T = decltype(type);
    for_each_sequence(sequences, kernel, [&](const Sequence& sequence, float* scratch) {
      const std::int64_t at = sequence.row * width;
      const std::int64_t kv_at = sequence.place * kv_width;
      kernels::attention_backward(
          kernel,
          sequence.length,
          {kernel_data<T>(q) + at,
           kernel_data<T>(k) + kv_at,
           kernel_data<T>(v) + kv_at,
           kernel_data<T>(grad) + at,
           kernel_data<float>(log_sums) + sequence.row * shape.heads},
          {kernel_data<T>(result.q) + at,
           kernel_data<T>(result.k) + kv_at,
           kernel_data<T>(result.v) + kv_at},
          scratch);
    });
  });
  clear_rest(result.q, sequences);
  if (prefixes != nullptr) {
    result.k = sum_of_places(result.k, prefixes->rows, key.size(0));
    result.v = sum_of_places(result.v, prefixes->rows, value.size(0));
  } else {
    clear_rest(result.k, sequences);
    clear_rest(result.v, sequences);
  }
  return result;
}

} // namespace errata
