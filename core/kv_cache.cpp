#include "core/kv_cache.h"

#include "core/autograd.h"
#include "core/base/error.h"

#include <algorithm>
#include <numeric>

namespace errata {
namespace {

// Slots are added by this many at least, so that most steps copy nothing.
constexpr std::int64_t kGrowth = 64;

torch::Tensor grown(const torch::Tensor& x, std::int64_t places, std::int64_t slots) {
  torch::Tensor larger = torch::empty({places, x.size(1), slots, x.size(3)}, x.options());
  larger.narrow(0, 0, x.size(0)).narrow(2, 0, x.size(2)).copy_(x);
  return larger;
}

torch::Tensor index_tensor(const std::vector<std::int64_t>& numbers, torch::Device device) {
  return torch::tensor(numbers, torch::kInt64).to(device);
}

} // namespace

std::int64_t KvCache::Layer::slots_for(std::int64_t length) const {
  return window > 0 ? std::min(window, length) : length;
}

void KvCache::Layer::grow(std::int64_t places, std::int64_t slots) {
  if (places > keys.size(0) || slots > capacity()) {
    places = std::max(places, keys.size(0));
    slots = std::max(slots, capacity());
    keys = grown(keys, places, slots);
    values = grown(values, places, slots);
  }
}

KvCache::KvCache(
    const DecoderConfig& config, std::int64_t rows, torch::Dtype dtype, torch::Device device)
    : lengths_(static_cast<std::size_t>(rows), 0),
      places_(static_cast<std::size_t>(rows)),
      options_(torch::TensorOptions().dtype(dtype).device(device)) {
  std::iota(places_.begin(), places_.end(), std::int64_t{0});
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
  return index_tensor(lengths_, options_.device());
}

torch::Tensor KvCache::places_tensor() const {
  return index_tensor(places_, options_.device());
}

void KvCache::keep(const std::vector<std::int64_t>& rows) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor index = index_tensor(rows, options_.device());
  for (Layer& layer : layers_) {
    if (layer.recurrent) {
      layer.recurrent->inputs = layer.recurrent->inputs.index_select(0, index);
      layer.recurrent->hidden = layer.recurrent->hidden.index_select(0, index);
    }
  }
  std::vector<std::int64_t> lengths;
  std::vector<std::int64_t> places;
  for (const std::int64_t row : rows) {
    lengths.push_back(lengths_[static_cast<std::size_t>(row)]);
    places.push_back(std::exchange(places_[static_cast<std::size_t>(row)], -1));
    ERRATA_CHECK(places.back() >= 0, ErrorCode::kInternal, "a row of a cache kept twice");
  }
  std::copy_if(places_.begin(), places_.end(), std::back_inserter(free_), [](std::int64_t place) {
    return place >= 0;
  });
  lengths_ = std::move(lengths);
  places_ = std::move(places);
}

KvCache KvCache::copy(const std::vector<std::int64_t>& rows) const {
  const torch::NoGradGuard no_grad;
  KvCache result(options_);
  std::vector<std::int64_t> places;
  for (const std::int64_t row : rows) {
    result.lengths_.push_back(lengths_[static_cast<std::size_t>(row)]);
    places.push_back(places_[static_cast<std::size_t>(row)]);
    result.places_.push_back(static_cast<std::int64_t>(result.places_.size()));
  }
  const torch::Tensor index = index_tensor(rows, options_.device());
  const torch::Tensor place = index_tensor(places, options_.device());
  for (const Layer& layer : layers_) {
    result.layers_.push_back({layer.window, {}, {}, std::nullopt});
    if (layer.recurrent) {
      result.layers_.back().recurrent = RecurrentState{
          layer.recurrent->inputs.index_select(0, index),
          layer.recurrent->hidden.index_select(0, index)};
    } else {
      result.layers_.back().keys = layer.keys.index_select(0, place);
      result.layers_.back().values = layer.values.index_select(0, place);
    }
  }
  return result;
}

void KvCache::append(const KvCache& other) {
  const torch::NoGradGuard no_grad;
  auto total = static_cast<std::int64_t>(places_.size() + free_.size());
  std::vector<std::int64_t> places;
  for (std::int64_t i = 0; i < other.rows(); ++i) {
    if (free_.empty()) {
      places.push_back(total++);
    } else {
      places.push_back(free_.back());
      free_.pop_back();
    }
  }
  const torch::Tensor to = index_tensor(places, options_.device());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const Layer& added = other.layers_[i];
    if (layer.recurrent) {
      RecurrentState& state = *layer.recurrent;
      state.inputs = torch::cat({state.inputs, added.recurrent->inputs});
      state.hidden = torch::cat({state.hidden, added.recurrent->hidden});
      continue;
    }
    const std::int64_t used = added.slots_for(other.longest());
    layer.grow(total, added.capacity());
    const auto put = [&](const torch::Tensor& into, const torch::Tensor& from) {
      into.narrow(2, 0, used)
          .index_copy_(0, to, from.narrow(2, 0, used).index_select(0, other.places_tensor()));
    };
    put(layer.keys, added.keys);
    put(layer.values, added.values);
  }
  lengths_.insert(lengths_.end(), other.lengths_.begin(), other.lengths_.end());
  places_.insert(places_.end(), places.begin(), places.end());
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

void KvCache::begin(std::vector<std::int64_t> steps) {
  ERRATA_CHECK(
      steps.size() == lengths_.size(),
      ErrorCode::kInternal,
      "steps of ",
      steps.size(),
      " rows for a cache of ",
      rows());
  steps_ = std::move(steps);
}

torch::Tensor KvCache::next_positions() const {
  std::vector<std::int64_t> positions;
  for (std::size_t row = 0; row < lengths_.size(); ++row) {
    for (std::int64_t step = 0; step < steps_[row]; ++step) {
      positions.push_back(lengths_[row] + step);
    }
  }
  return index_tensor(positions, options_.device());
}

torch::Tensor KvCache::next_lengths() const {
  const torch::Tensor steps = index_tensor(steps_, options_.device());
  return (lengths_tensor() + steps).repeat_interleave(steps);
}

std::int64_t KvCache::next_longest() const {
  std::int64_t length = 0;
  for (std::size_t row = 0; row < lengths_.size(); ++row) {
    length = std::max(length, lengths_[row] + steps_[row]);
  }
  return length;
}

RecurrentState* KvCache::recurrent_state(std::int64_t layer) {
  auto& state = layers_[static_cast<std::size_t>(layer)].recurrent;
  return state ? &*state : nullptr;
}

torch::Tensor KvCache::begins() const {
  return lengths_tensor() == 0;
}

void KvCache::advance() {
  for (std::size_t row = 0; row < lengths_.size(); ++row) {
    lengths_[row] += steps_[row];
  }
}

void KvCache::reserve(Layer& layer, std::int64_t length) const {
  const std::int64_t needed = layer.slots_for(length);
  if (needed > layer.capacity()) {
    const std::int64_t generous =
        std::max(needed + kGrowth, layer.capacity() + layer.capacity() / 4);
    layer.grow(0, layer.slots_for(generous));
  }
}

} // namespace errata
