#include "core/padded_attention.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace errata {
namespace {

struct Size {
  std::int64_t count = 0;
  std::int64_t longest = 0;
  std::int64_t rows = 0;
};

Size size_of(const std::vector<LengthGroup>& groups) {
  Size size;
  for (const LengthGroup& group : groups) {
    size.count += group.count;
    size.longest = std::max(size.longest, group.length);
    size.rows += group.count * group.length;
  }
  return size;
}

// True where query i sees key j: not later, and within the window. [longest, longest]
torch::Tensor seen_in_window(std::int64_t longest, std::int64_t window, torch::Device device) {
  const torch::Tensor step =
      torch::arange(longest, torch::TensorOptions().dtype(torch::kInt64).device(device));
  const torch::Tensor distance = step.unsqueeze(1) - step.unsqueeze(0);
  return (distance >= 0).logical_and_(distance < window);
}

} // namespace

PaddedPlaces padded_places(const std::vector<LengthGroup>& groups, torch::Device device) {
  const Size size = size_of(groups);
  std::vector<std::int64_t> taken;
  std::vector<std::int64_t> kept(static_cast<std::size_t>(size.rows));
  taken.reserve(static_cast<std::size_t>(size.count * size.longest));
  for (const LengthGroup& group : groups) {
    for (std::int64_t i = 0; i < group.count; ++i) {
      const std::int64_t first = group.first_row + i * group.length;
      const auto begin = kept.begin() + first;
      std::iota(begin, begin + group.length, static_cast<std::int64_t>(taken.size()));
      for (std::int64_t t = 0; t < size.longest; ++t) { // causality hides the filling from the rest
        taken.push_back(first + std::min(t, group.length - 1));
      }
    }
  }
  return {
      size.count,
      size.longest,
      torch::tensor(taken, torch::kInt64).to(device),
      torch::tensor(kept, torch::kInt64).to(device)};
}

bool is_worth_padding(const std::vector<LengthGroup>& groups) {
  const Size size = size_of(groups);
  return size.count * size.longest <= 2 * size.rows;
}

torch::Tensor padded_attention(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const PaddedPlaces& places,
    const AttentionShape& shape) {
  // [count, heads, longest, head_dim]
  const auto padded = [&](const torch::Tensor& x) {
    const torch::Tensor by_head =
        x.index_select(0, places.taken)
            .view({places.count, places.longest, x.size(1), shape.head_dim})
            .transpose(1, 2);
    return x.size(1) == shape.heads
               ? by_head
               : by_head.repeat_interleave(shape.heads / shape.kv_heads, /*dim=*/1);
  };
  const bool windowed = shape.window > 0 && shape.window < places.longest;
  const auto mask = windowed
                        ? std::optional(seen_in_window(places.longest, shape.window, q.device()))
                        : std::nullopt;
  return at::scaled_dot_product_attention(
             padded(q), padded(k), padded(v), mask, 0.0, /*is_causal=*/!windowed, shape.scale)
      .transpose(1, 2)
      .reshape({places.count * places.longest, shape.heads, shape.head_dim})
      .index_select(0, places.kept);
}

} // namespace errata
