#include "core/kv_cache.h"

#include "core/autograd.h"
#include "core/base/error.h"

#include <algorithm>
#include <limits>

namespace errata {
namespace {

// Slots are added by this many at least, so that most steps copy nothing.
constexpr std::int64_t kGrowth = 64;

torch::Tensor grown(const torch::Tensor& x, std::int64_t capacity) {
  torch::Tensor larger = torch::empty({x.size(0), x.size(1), capacity, x.size(3)}, x.options());
  larger.narrow(2, 0, x.size(2)).copy_(x);
  // A masked slot still enters the product with weight 0, and 0 * NaN is NaN.
  larger.narrow(2, x.size(2), capacity - x.size(2)).zero_();
  return larger;
}

// True where it must not be seen -> what is added to the scores.
torch::Tensor additive(const torch::Tensor& hidden, torch::TensorOptions like) {
  return torch::zeros(hidden.sizes(), like)
      .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

} // namespace

std::int64_t KvCache::Layer::slots_for(std::int64_t length) const {
  return window > 0 ? std::min(window, length) : length;
}

void KvCache::Layer::grow(std::int64_t slots) {
  if (slots > capacity()) {
    keys = grown(keys, slots);
    values = grown(values, slots);
  }
}

KvCache::KvCache(
    const DecoderConfig& config, std::int64_t rows, torch::Dtype dtype, torch::Device device)
    : lengths_(static_cast<std::size_t>(rows), 0),
      options_(torch::TensorOptions().dtype(dtype).device(device)) {
  for (const LayerConfig& layer : config.layers) {
    if (layer.recurrent) {
      const auto wide = options_.dtype(statistics_dtype(dtype));
      layers_.push_back(
          {0,
           {},
           {},
           RecurrentState{
               torch::zeros({rows, config.conv_width - 1, config.lru_width}, options_),
               torch::zeros({rows, config.lru_width}, wide)}});
      continue;
    }
    const torch::Tensor empty =
        torch::empty({rows, config.num_kv_heads, 0, config.head_dim}, options_);
    layers_.push_back({layer.window, empty, empty, std::nullopt});
  }
}

std::int64_t KvCache::longest() const {
  return lengths_.empty() ? 0 : *std::max_element(lengths_.begin(), lengths_.end());
}

std::int64_t KvCache::bytes() const {
  std::int64_t total = 0;
  for (const Layer& layer : layers_) {
    total += static_cast<std::int64_t>(
        layer.recurrent ? layer.recurrent->inputs.nbytes() + layer.recurrent->hidden.nbytes()
                        : layer.keys.nbytes() + layer.values.nbytes());
  }
  return total;
}

torch::Tensor KvCache::lengths_tensor() const {
  return torch::tensor(lengths_, torch::kInt64).to(options_.device());
}

void KvCache::keep(const std::vector<std::int64_t>& rows) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor index = torch::tensor(rows, torch::kInt64).to(options_.device());
  for (Layer& layer : layers_) {
    if (layer.recurrent) {
      layer.recurrent->inputs = layer.recurrent->inputs.index_select(0, index);
      layer.recurrent->hidden = layer.recurrent->hidden.index_select(0, index);
      continue;
    }
    layer.keys = layer.keys.index_select(0, index);
    layer.values = layer.values.index_select(0, index);
  }
  std::vector<std::int64_t> lengths;
  lengths.reserve(rows.size());
  for (const std::int64_t row : rows) {
    lengths.push_back(lengths_[static_cast<std::size_t>(row)]);
  }
  lengths_ = std::move(lengths);
}

void KvCache::append(const KvCache& other) {
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    Layer added = other.layers_[i];
    if (layer.recurrent) {
      RecurrentState& state = *layer.recurrent;
      state.inputs = torch::cat({state.inputs, added.recurrent->inputs});
      state.hidden = torch::cat({state.hidden, added.recurrent->hidden});
      continue;
    }
    const std::int64_t capacity = std::max(layer.capacity(), added.capacity());
    layer.grow(capacity);
    added.grow(capacity);
    layer.keys = torch::cat({layer.keys, added.keys});
    layer.values = torch::cat({layer.values, added.values});
  }
  lengths_.insert(lengths_.end(), other.lengths_.begin(), other.lengths_.end());
}

void KvCache::truncate(std::int64_t length) {
  for (const Layer& layer : layers_) {
    ERRATA_CHECK(
        !layer.recurrent || longest() <= length,
        ErrorCode::kUnsupported,
        "a recurrent state of ",
        longest(),
        " tokens cannot go back to ",
        length);
    ERRATA_CHECK(
        layer.window == 0 || longest() <= layer.window || longest() <= length,
        ErrorCode::kUnsupported,
        "a cache of ",
        longest(),
        " tokens cannot go back to ",
        length,
        ": a sliding window of ",
        layer.window,
        " has dropped the keys");
  }
  for (std::int64_t& row : lengths_) {
    row = std::min(row, length);
  }
}

torch::Tensor KvCache::next_positions(std::int64_t steps) const {
  const torch::Tensor offsets = torch::arange(steps, torch::kInt64).to(options_.device());
  return (lengths_tensor().unsqueeze(1) + offsets).view(-1);
}

RecurrentState* KvCache::recurrent_state(std::int64_t layer) {
  auto& state = layers_[static_cast<std::size_t>(layer)].recurrent;
  return state ? &*state : nullptr;
}

torch::Tensor KvCache::begins() const {
  return lengths_tensor() == 0;
}

torch::Tensor KvCache::next_lengths(std::int64_t steps) const {
  return (lengths_tensor() + steps).repeat_interleave(steps);
}

void KvCache::advance(std::int64_t steps) {
  for (std::int64_t& length : lengths_) {
    length += steps;
  }
}

void KvCache::reserve(Layer& layer, std::int64_t length) const {
  const std::int64_t needed = layer.slots_for(length);
  if (needed <= layer.capacity()) {
    return;
  }
  const std::int64_t generous = std::max(needed + kGrowth, layer.capacity() + layer.capacity() / 4);
  layer.grow(layer.slots_for(generous));
}

void KvCache::write(
    Layer& layer, const torch::Tensor& k, const torch::Tensor& v, std::int64_t steps) const {
  reserve(layer, longest() + steps);
  const std::int64_t kv_heads = layer.keys.size(1);
  const std::int64_t head_dim = layer.keys.size(3);
  const std::int64_t capacity = layer.capacity();
  // Of more tokens than the ring holds only the last ones stay; a slot written twice would be left
  // to chance.
  const std::int64_t kept = layer.slots_for(steps);
  std::vector<std::int64_t> slots;
  slots.reserve(lengths_.size() * static_cast<std::size_t>(kept * kv_heads));
  for (std::size_t row = 0; row < lengths_.size(); ++row) {
    for (std::int64_t step = steps - kept; step < steps; ++step) {
      const std::int64_t position = lengths_[row] + step;
      const std::int64_t slot = layer.window > 0 ? position % layer.window : position;
      for (std::int64_t head = 0; head < kv_heads; ++head) {
        slots.push_back((static_cast<std::int64_t>(row) * kv_heads + head) * capacity + slot);
      }
    }
  }
  const torch::Tensor index = torch::tensor(slots, torch::kInt64).to(options_.device());
  const auto store = [&](torch::Tensor& into, const torch::Tensor& from) {
    const torch::Tensor last =
        from.view({rows(), steps, kv_heads, head_dim}).narrow(1, steps - kept, kept);
    into.view({-1, head_dim}).index_copy_(0, index, last.reshape({-1, head_dim}));
  };
  store(layer.keys, k);
  store(layer.values, v);
}

torch::Tensor KvCache::attend(
    std::int64_t layer_index,
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const AttentionShape& shape) {
  Layer& layer = layers_[static_cast<std::size_t>(layer_index)];
  const std::int64_t steps = q.size(0) / rows();
  if (steps == 1) {
    write(layer, k, v, 1);
    return attend_one(layer, q, shape);
  }
  // Later tokens of these steps may overwrite what earlier ones still see, so attend first.
  const torch::Tensor out = longest() == 0 ? packed_attention(q, k, v, {{0, rows(), steps}}, shape)
                                           : attend_many(layer, q, k, v, shape);
  write(layer, k, v, steps);
  return out;
}

torch::Tensor KvCache::attend_one(
    const Layer& layer, const torch::Tensor& q, const AttentionShape& shape) const {
  const std::int64_t batch = rows() * shape.kv_heads;
  const std::int64_t share = shape.heads / shape.kv_heads;
  const std::int64_t used = layer.slots_for(longest() + 1);
  const auto slots = [&](const torch::Tensor& x) {
    return x.narrow(2, 0, used).view({batch, used, shape.head_dim});
  };
  torch::Tensor scores =
      torch::bmm(q.view({batch, share, shape.head_dim}), slots(layer.keys).transpose(1, 2));
  cap_scores_(scores.mul_(shape.scale), shape);
  scores = scores.view({rows(), shape.heads, used});
  // The new token sits at position `length`; in a full ring every slot is within the window.
  const auto [least, most] = std::minmax_element(lengths_.begin(), lengths_.end());
  if (*least != *most) {
    const torch::Tensor slot = torch::arange(used, torch::kInt64).to(options_.device());
    const torch::Tensor hidden = slot.unsqueeze(0) > lengths_tensor().unsqueeze(1);
    scores.add_(additive(hidden, options_).unsqueeze(1));
  }
  const torch::Tensor weights = torch::softmax(scores, -1).view({batch, share, used});
  return torch::bmm(weights, slots(layer.values)).view({rows(), shape.heads * shape.head_dim});
}

torch::Tensor KvCache::attend_many(
    const Layer& layer,
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const AttentionShape& shape) const {
  const std::int64_t steps = q.size(0) / rows();
  const std::int64_t share = shape.heads / shape.kv_heads;
  const std::int64_t used = layer.slots_for(longest());
  const std::int64_t keys = used + steps;
  const auto joined = [&](const torch::Tensor& held, const torch::Tensor& added) {
    const torch::Tensor late =
        added.view({rows(), steps, shape.kv_heads, shape.head_dim}).permute({0, 2, 1, 3});
    return torch::cat({held.narrow(2, 0, used), late}, 2)
        .view({rows() * shape.kv_heads, keys, shape.head_dim});
  };
  const torch::Tensor query =
      q.view({rows(), steps, shape.kv_heads, share, shape.head_dim})
          .permute({0, 2, 3, 1, 4})
          .reshape({rows() * shape.kv_heads, share * steps, shape.head_dim});

  // Slot j of a row of n tokens holds the last position p < n with p % window == j.
  const auto integers = torch::TensorOptions().dtype(torch::kInt64).device(options_.device());
  const std::int64_t window = shape.window > 0 ? shape.window : std::int64_t{1} << 40;
  const torch::Tensor length = lengths_tensor().view({-1, 1, 1});
  const torch::Tensor step = torch::arange(steps, integers).view({1, -1, 1});
  const torch::Tensor slot = torch::arange(used, integers).view({1, 1, -1});
  const torch::Tensor position = length - 1 - torch::remainder(length - 1 - slot, window);
  const torch::Tensor old_hidden = (position < 0).logical_or(length + step - position >= window);
  const torch::Tensor distance = step - torch::arange(steps, integers).view({1, 1, -1});
  const torch::Tensor new_hidden =
      (distance < 0).logical_or(distance >= window).expand({rows(), steps, steps});
  const torch::Tensor mask = additive(torch::cat({old_hidden, new_hidden}, 2), options_);

  torch::Tensor scores = torch::bmm(query, joined(layer.keys, k).transpose(1, 2)).mul_(shape.scale);
  cap_scores_(scores, shape);
  scores = scores.view({rows(), shape.heads, steps, keys}).add_(mask.unsqueeze(1));
  const torch::Tensor weights =
      torch::softmax(scores, -1).view({rows() * shape.kv_heads, share * steps, keys});
  return torch::bmm(weights, joined(layer.values, v))
      .view({rows(), shape.heads, steps, shape.head_dim})
      .transpose(1, 2)
      .reshape({rows() * steps, shape.heads * shape.head_dim});
}

} // namespace errata
