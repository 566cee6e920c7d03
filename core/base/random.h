#pragma once

#include "core/base/error.h"

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace errata {

/// Random numbers that are the same on every platform: the standard fixes the engine but not its
/// distributions, so those are here.
class Random {
 public:
  explicit Random(std::uint64_t seed = 0) : engine_(seed) {}

  std::uint64_t bits() { return engine_(); }

  /// Uniform in [0, count); `count` must be positive. Unbiased (rejection).
  std::size_t index(std::size_t count) {
    ERRATA_CHECK(count > 0, ErrorCode::kInternal, "Random::index of an empty range");
    const std::uint64_t limit = UINT64_MAX - UINT64_MAX % count;
    std::uint64_t value = bits();
    while (value >= limit) {
      value = bits();
    }
    return static_cast<std::size_t>(value % count);
  }

  /// Uniform in [0, 1).
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }

  template <typename Container>
  const auto& choice(const Container& items) {
    return items[index(items.size())];
  }

  /// An index drawn with probability proportional to its weight. Weights must not all be zero.
  std::size_t weighted(std::span<const double> weights) {
    double total = 0;
    for (const double weight : weights) {
      total += weight;
    }
    ERRATA_CHECK(total > 0, ErrorCode::kInternal, "Random::weighted without a positive weight");
    double place = uniform() * total;
    std::size_t last = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] <= 0) {
        continue;
      }
      last = i;
      place -= weights[i];
      if (place < 0) {
        break;
      }
    }
    return last;
  }

  /// Fisher-Yates.
  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[index(i)]);
    }
  }

  /// The complete state as text, for checkpoints.
  std::string state() const {
    std::ostringstream out;
    out << engine_;
    return std::move(out).str();
  }

  void set_state(const std::string& text) {
    std::istringstream in(text);
    in >> engine_;
    ERRATA_CHECK(!in.fail(), ErrorCode::kCorrupt, "random generator state is damaged");
  }

 private:
  std::mt19937_64 engine_;
};

} // namespace errata
