#include "core/sampling.h"

#include "core/kernel_tensors.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace errata {
namespace {

// Ids that may be drawn, most probable first when a limit is set.
std::vector<std::int32_t> candidates(
    std::span<const float> logits, const GenerationOptions& options) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto before = [&](std::int32_t a, std::int32_t b) {
    const float first = logits[static_cast<std::size_t>(a)];
    const float second = logits[static_cast<std::size_t>(b)];
    return first != second ? first > second : a < b;
  };
  const bool cut = options.top_k > 0 && options.top_k < static_cast<std::int64_t>(ids.size());
  if (cut) {
    std::nth_element(ids.begin(), ids.begin() + options.top_k, ids.end(), before);
    ids.resize(static_cast<std::size_t>(options.top_k));
  }
  if (cut || options.top_p < 1.0) {
    std::sort(ids.begin(), ids.end(), before);
  }
  return ids;
}

} // namespace

std::int32_t sample_token(
    std::span<const float> logits, const GenerationOptions& options, Random& random) {
  std::vector<std::int32_t> ids = candidates(logits, options);
  const float highest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> weights(ids.size());
  std::transform(ids.begin(), ids.end(), weights.begin(), [&](std::int32_t id) {
    const double above = static_cast<double>(logits[static_cast<std::size_t>(id)]) - highest;
    return std::exp(above / options.temperature);
  });
  if (options.top_p < 1.0) {
    // The shortest run of most probable tokens whose mass reaches top_p, one token at least.
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    double mass = 0.0;
    std::size_t count = 0;
    while (count < weights.size() && (count == 0 || mass < options.top_p * total)) {
      mass += weights[count++];
    }
    weights.resize(count);
  }
  if (options.min_p > 0.0) { // the most probable one weighs 1
    std::size_t kept = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] >= options.min_p) {
        weights[kept] = weights[i];
        ids[kept++] = ids[i];
      }
    }
    weights.resize(kept);
  }
  return ids[random.weighted(weights)];
}

void penalise_repetition(std::span<float> logits, const Tokens& seen, double penalty) {
  const auto factor = static_cast<float>(penalty);
  for (const std::int32_t id : std::set<std::int32_t>(seen.begin(), seen.end())) {
    float& logit = logits[static_cast<std::size_t>(id)];
    logit = logit > 0 ? logit / factor : logit * factor;
  }
}

Random prompt_stream(std::uint64_t seed, std::size_t index) {
  // splitmix64, so that neighbouring prompts and seeds get unrelated streams.
  std::uint64_t x = seed + 0x9e3779b97f4a7c15U * (static_cast<std::uint64_t>(index) + 1);
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return Random(x ^ (x >> 31U));
}

std::vector<std::int32_t> largest_of_rows(const torch::Tensor& logits) {
  const std::int64_t rows = logits.size(0);
  torch::Tensor places;
  if (kernels_take(logits)) {
    const torch::Tensor values = logits.contiguous();
    places = torch::empty({rows}, torch::kInt64);
    with_kernel_type(logits.scalar_type(), [&](auto type) {
      using T = decltype(type);
      const std::int64_t n = logits.size(1);
      parallel_rows(rows, n, [&](std::int64_t begin, std::int64_t end) {
        kernels::largest(
            n,
            end - begin,
            kernel_data<T>(values) + begin * n,
            places.data_ptr<std::int64_t>() + begin);
      });
    });
  } else {
    places = logits.argmax(-1).to(torch::kCPU);
  }
  const auto* const first = places.data_ptr<std::int64_t>();
  return {first, first + rows};
}

} // namespace errata
