#include "core/kernel_tensors.h"
#include "core/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace errata {
namespace {

// True where it must not be seen -> what is added to the scores.
torch::Tensor additive(const torch::Tensor& hidden, torch::TensorOptions like) {
  return torch::zeros(hidden.sizes(), like)
      .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

} // namespace

std::vector<KvCache::Group> KvCache::groups() const {
  std::vector<Group> groups;
  std::int64_t next = 0;
  for (std::size_t row = 0; row < steps_.size(); next += steps_[row++]) {
    if (groups.empty() || groups.back().rows.length != steps_[row]) {
      groups.push_back({static_cast<std::int64_t>(row), {next, 0, steps_[row]}});
    }
    ++groups.back().rows.count;
  }
  return groups;
}

void KvCache::write(Layer& layer, const torch::Tensor& k, const torch::Tensor& v) const {
  reserve(layer, next_longest());
  const std::int64_t kv_heads = layer.keys.size(1);
  const std::int64_t head_dim = layer.keys.size(3);
  const std::int64_t capacity = layer.capacity();
  // Of more tokens than the ring holds only the last ones stay.
  std::vector<std::int64_t> from;
  std::vector<std::int64_t> to;
  std::int64_t next = 0;
  for (std::size_t row = 0; row < lengths_.size(); next += steps_[row++]) {
    for (std::int64_t i = steps_[row] - layer.slots_for(steps_[row]); i < steps_[row]; ++i) {
      const std::int64_t position = lengths_[row] + i;
      const std::int64_t slot = layer.window > 0 ? position % layer.window : position;
      from.push_back(next + i);
      to.push_back(places_[row] * kv_heads * capacity + slot);
    }
  }
  const auto store = [&](torch::Tensor& into, const torch::Tensor& given) {
    const torch::Tensor rows = given.contiguous();
    const auto bytes = static_cast<std::size_t>(head_dim * into.element_size());
    const auto* const source = static_cast<const char*>(rows.const_data_ptr());
    auto* const target = static_cast<char*>(into.data_ptr());
    const auto at = [&](std::int64_t head) { return static_cast<std::size_t>(head) * bytes; };
    for (std::size_t i = 0; i < from.size(); ++i) {
      for (std::int64_t head = 0; head < kv_heads; ++head) {
        std::memcpy(
            target + at(to[i] + head * capacity), source + at(from[i] * kv_heads + head), bytes);
      }
    }
  };
  const auto store_by_index = [&](torch::Tensor& into, const torch::Tensor& given) {
    const auto numbers = [&](const std::vector<std::int64_t>& list, std::int64_t step) {
      return (torch::tensor(list, torch::kInt64).unsqueeze(1) + torch::arange(kv_heads) * step)
          .flatten()
          .to(options_.device());
    };
    std::vector<std::int64_t> first(from.size());
    std::transform(
        from.begin(), from.end(), first.begin(), [&](std::int64_t row) { return row * kv_heads; });
    into.view({-1, head_dim})
        .index_copy_(
            0,
            numbers(to, capacity),
            given.reshape({-1, head_dim}).index_select(0, numbers(first, 1)));
  };
  if (options_.device().is_cpu()) {
    store(layer.keys, k);
    store(layer.values, v);
  } else {
    store_by_index(layer.keys, k);
    store_by_index(layer.values, v);
  }
}

// Whether each query sees the slots of its sequence up to its own, all of them.
bool KvCache::sees_all_slots(const Layer& layer) const {
  return layer.window == 0 || next_longest() <= layer.window ||
         std::all_of(steps_.begin(), steps_.end(), [](std::int64_t steps) { return steps == 1; });
}

torch::Tensor KvCache::attend(
    std::int64_t layer_index,
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const AttentionShape& shape) {
  Layer& layer = layers_[static_cast<std::size_t>(layer_index)];
  const std::vector<Group> parts = groups();
  const bool single = parts.size() == 1 && parts.front().rows.length == 1;
  if (longest() == 0 && !single) {
    std::vector<LengthGroup> packed;
    for (const Group& part : parts) {
      packed.push_back(part.rows);
    }
    write(layer, k, v);
    return PackedAttention(packed, options_.device())(q, k, v, shape);
  }
  if (kernels_take(q, k, v) && sees_all_slots(layer)) {
    write(layer, k, v);
    return attend_in_place(layer, q, shape);
  }
  if (single) {
    write(layer, k, v);
    return attend_one(layer, q, shape);
  }
  // Later tokens of these steps may overwrite what earlier ones still see, so attend first.
  std::vector<torch::Tensor> out;
  for (const Group& part : parts) {
    const auto rows_of = [&](const torch::Tensor& x) {
      return x.narrow(0, part.rows.first_row, part.rows.count * part.rows.length);
    };
    out.push_back(attend_many(layer, part, rows_of(q), rows_of(k), rows_of(v), shape));
  }
  write(layer, k, v);
  return torch::cat(out);
}

torch::Tensor KvCache::attend_in_place(
    const Layer& layer, const torch::Tensor& q, const AttentionShape& shape) const {
  const torch::Tensor queries = q.contiguous();
  const torch::Tensor out = torch::empty(queries.sizes(), queries.options());
  // In a full ring every slot is within the window, before it fills all are.
  const kernels::Attention kernel = {
      shape.heads,
      shape.kv_heads,
      shape.head_dim,
      0,
      static_cast<float>(shape.scale),
      static_cast<float>(shape.softcap)};
  const std::int64_t width = shape.heads * shape.head_dim;
  const std::int64_t slots = layer.capacity();
  const std::int64_t place_size = shape.kv_heads * slots * shape.head_dim;
  std::vector<std::int64_t> first(steps_.size(), 0);
  std::partial_sum(steps_.begin(), steps_.end() - 1, first.begin() + 1);
  const std::int64_t used = layer.slots_for(next_longest());
  with_kernel_type(q.scalar_type(), [&](auto type) {
    using T = decltype(type);
    parallel_rows(rows(), width * used, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> scratch(
          static_cast<std::size_t>(kernels::attention_cached_scratch(kernel, used)));
      for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row) {
        kernels::attention_cached(
            kernel,
            steps_[row],
            layer.slots_for(lengths_[row] + steps_[row]) - steps_[row],
            slots,
            kernel_data<T>(queries) + first[row] * width,
            kernel_data<T>(layer.keys) + places_[row] * place_size,
            kernel_data<T>(layer.values) + places_[row] * place_size,
            kernel_data<T>(out) + first[row] * width,
            scratch.data());
      }
    });
  });
  return out;
}

// The first `used` slots of the group's rows, zero where nothing has been written: even with weight
// 0, NaN stays NaN. [rows, kv_heads, used, head_dim]
torch::Tensor KvCache::held(const torch::Tensor& x, const Group& group, std::int64_t used) const {
  const torch::Tensor places = places_tensor().narrow(0, group.first, group.rows.count);
  const torch::Tensor lengths = lengths_tensor().narrow(0, group.first, group.rows.count);
  const torch::Tensor slot = torch::arange(used, lengths.options());
  const torch::Tensor unwritten = slot.unsqueeze(0) >= lengths.unsqueeze(1);
  return x.narrow(2, 0, used)
      .index_select(0, places)
      .masked_fill_(unwritten.unsqueeze(1).unsqueeze(3), 0);
}

torch::Tensor KvCache::attend_one(
    const Layer& layer, const torch::Tensor& q, const AttentionShape& shape) const {
  const std::int64_t batch = rows() * shape.kv_heads;
  const std::int64_t share = shape.heads / shape.kv_heads;
  const std::int64_t used = layer.slots_for(longest() + 1);
  const torch::Tensor places = places_tensor();
  const torch::Tensor slot = torch::arange(used, places.options());
  // The new token sits at position `length`; in a full ring every slot is within the window.
  const torch::Tensor hidden = slot.unsqueeze(0) > lengths_tensor().unsqueeze(1);
  const auto slots = [&](const torch::Tensor& x) {
    return x.narrow(2, 0, used)
        .index_select(0, places)
        .masked_fill_(hidden.unsqueeze(1).unsqueeze(3), 0)
        .view({batch, used, shape.head_dim});
  };
  torch::Tensor scores =
      torch::bmm(q.reshape({batch, share, shape.head_dim}), slots(layer.keys).transpose(1, 2));
  cap_scores_(scores.mul_(shape.scale), shape);
  scores = scores.view({rows(), shape.heads, used}).add_(additive(hidden, options_).unsqueeze(1));
  const torch::Tensor weights = torch::softmax(scores, -1).view({batch, share, used});
  return torch::bmm(weights, slots(layer.values)).view({rows(), shape.heads * shape.head_dim});
}

torch::Tensor KvCache::attend_many(
    const Layer& layer,
    const Group& group,
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const AttentionShape& shape) const {
  const std::int64_t count = group.rows.count;
  const std::int64_t steps = group.rows.length;
  const std::int64_t share = shape.heads / shape.kv_heads;
  const std::int64_t used = layer.slots_for(longest());
  const std::int64_t keys = used + steps;
  const auto joined = [&](const torch::Tensor& x, const torch::Tensor& added) {
    const torch::Tensor late =
        added.reshape({count, steps, shape.kv_heads, shape.head_dim}).permute({0, 2, 1, 3});
    return torch::cat({held(x, group, used), late}, 2)
        .view({count * shape.kv_heads, keys, shape.head_dim});
  };
  const torch::Tensor query = q.reshape({count, steps, shape.kv_heads, share, shape.head_dim})
                                  .permute({0, 2, 3, 1, 4})
                                  .reshape({count * shape.kv_heads, share * steps, shape.head_dim});

  // Slot j of a row of n tokens holds the last position p < n with p % window == j.
  const auto integers = torch::TensorOptions().dtype(torch::kInt64).device(options_.device());
  const std::int64_t window = shape.window > 0 ? shape.window : std::int64_t{1} << 40;
  const torch::Tensor length = lengths_tensor().narrow(0, group.first, count).view({-1, 1, 1});
  const torch::Tensor step = torch::arange(steps, integers).view({1, -1, 1});
  const torch::Tensor slot = torch::arange(used, integers).view({1, 1, -1});
  const torch::Tensor position = length - 1 - torch::remainder(length - 1 - slot, window);
  const torch::Tensor old_hidden = (position < 0).logical_or(length + step - position >= window);
  const torch::Tensor distance = step - torch::arange(steps, integers).view({1, 1, -1});
  const torch::Tensor new_hidden =
      (distance < 0).logical_or(distance >= window).expand({count, steps, steps});
  const torch::Tensor mask = additive(torch::cat({old_hidden, new_hidden}, 2), options_);

  torch::Tensor scores = torch::bmm(query, joined(layer.keys, k).transpose(1, 2)).mul_(shape.scale);
  cap_scores_(scores, shape);
  scores = scores.view({count, shape.heads, steps, keys}).add_(mask.unsqueeze(1));
  const torch::Tensor weights =
      torch::softmax(scores, -1).view({count * shape.kv_heads, share * steps, keys});
  return torch::bmm(weights, joined(layer.values, v))
      .view({count, shape.heads, steps, shape.head_dim})
      .transpose(1, 2)
      .reshape({count * steps, shape.heads * shape.head_dim});
}

} // namespace errata
