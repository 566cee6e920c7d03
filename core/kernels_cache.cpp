#include "core/kernels.h"
#include "core/kernels_product.h"
#include "core/kernels_simd.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace errata::kernels {
namespace {

ERRATA_INLINE void read_lanes(Lanes& to, const float* from) {
  read(to, from);
}

ERRATA_INLINE void read_lanes(Lanes& to, const Bfloat16* from) {
  using Narrow = std::uint16_t __attribute__((vector_size(2 * kLanes)));
  using Wide = std::uint32_t __attribute__((vector_size(4 * kLanes)));
  Narrow bits;
  __builtin_memcpy(&bits, from, sizeof(bits));
  const Wide wide = __builtin_convertvector(bits, Wide) << 16;
  __builtin_memcpy(&to, &wide, sizeof(to));
}

ERRATA_INLINE float sum_of(const Lanes& x) {
  using Half = float __attribute__((vector_size(2 * kLanes)));
  using Quarter = float __attribute__((vector_size(kLanes)));
  Half halves[2];
  __builtin_memcpy(halves, &x, sizeof(x));
  const Half half = halves[0] + halves[1];
  Quarter quarters[2];
  __builtin_memcpy(quarters, &half, sizeof(half));
  const Quarter quarter = quarters[0] + quarters[1];
  return (quarter[0] + quarter[1]) + (quarter[2] + quarter[3]);
}

// scores_j = q . k_j; four keys at a time, so that their sums do not wait for each other. `dim` is
// a multiple of 16.
template <typename T>
ERRATA_INLINE void scores_in_lanes(
    std::int64_t dim, std::int64_t n, const float* q, const T* keys, float* scores) {
  constexpr std::int64_t kKeys = 4;
  std::int64_t j = 0;
  for (; j + kKeys <= n; j += kKeys) {
    Lanes sums[kKeys] = {};
    for (std::int64_t t = 0; t < dim; t += kLanes) {
      Lanes query;
      read(query, q + t);
      for (std::int64_t k = 0; k < kKeys; ++k) {
        Lanes key;
        read_lanes(key, keys + (j + k) * dim + t);
        sums[k] += query * key;
      }
    }
    for (std::int64_t k = 0; k < kKeys; ++k) {
      scores[j + k] = sum_of(sums[k]);
    }
  }
  for (; j < n; ++j) {
    Lanes sum = {};
    for (std::int64_t t = 0; t < dim; t += kLanes) {
      Lanes query;
      Lanes key;
      read(query, q + t);
      read_lanes(key, keys + j * dim + t);
      sum += query * key;
    }
    scores[j] = sum_of(sum);
  }
}

// to = sum over j of weights_j v_j for kWide lanes, the sums in registers; even and odd keys apart.
template <int kWide, typename T>
ERRATA_INLINE void mix_lanes(
    std::int64_t dim, std::int64_t n, const float* weights, const T* values, float* to) {
  Lanes even[kWide] = {};
  Lanes odd[kWide] = {};
  Lanes value;
  std::int64_t j = 0;
  for (; j + 2 <= n; j += 2) {
    for (int w = 0; w < kWide; ++w) {
      read_lanes(value, values + j * dim + w * kLanes);
      even[w] += weights[j] * value;
      read_lanes(value, values + (j + 1) * dim + w * kLanes);
      odd[w] += weights[j + 1] * value;
    }
  }
  for (int w = 0; w < kWide; ++w) {
    if (j < n) {
      read_lanes(value, values + j * dim + w * kLanes);
      even[w] += weights[j] * value;
    }
    const Lanes sum = even[w] + odd[w];
    __builtin_memcpy(to + w * kLanes, &sum, sizeof(sum));
  }
}

template <typename T>
ERRATA_INLINE void mix_in_lanes(
    std::int64_t dim, std::int64_t n, const float* weights, const T* values, float* to) {
  constexpr std::int64_t kWide = 4;
  std::int64_t t = 0;
  for (; t + kWide * kLanes <= dim; t += kWide * kLanes) {
    mix_lanes<kWide>(dim, n, weights, values + t, to + t);
  }
  for (; t < dim; t += kLanes) {
    mix_lanes<1>(dim, n, weights, values + t, to + t);
  }
}

// The same for any `dim`.
template <typename T>
ERRATA_INLINE void scores_of(
    std::int64_t dim, std::int64_t n, const float* q, const T* keys, float* scores) {
  for (std::int64_t j = 0; j < n; ++j) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t t = 0; t < dim; ++t) {
      sum += q[t] * widen(keys[j * dim + t]);
    }
    scores[j] = sum;
  }
}

template <typename T>
ERRATA_INLINE void mix_of(
    std::int64_t dim, std::int64_t n, const float* weights, const T* values, float* to) {
  for (std::int64_t j = 0; j < n; ++j) {
#pragma omp simd
    for (std::int64_t t = 0; t < dim; ++t) {
      to[t] = (j == 0 ? 0.0F : to[t]) + weights[j] * widen(values[j * dim + t]);
    }
  }
}

// Scores become what their exponentials are of their sum.
ERRATA_INLINE void softmax_row(float softcap, std::int64_t n, float* scores) {
  if (softcap > 0) { // tanh x = 1 - 2 / (1 + e^2x)
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      scores[j] = softcap * (1.0F - 2.0F / (1.0F + exp_clamped(scores[j] * (2.0F / softcap))));
    }
  }
  float most = scores[0];
#pragma omp simd reduction(max : most)
  for (std::int64_t j = 0; j < n; ++j) {
    most = scores[j] > most ? scores[j] : most;
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < n; ++j) {
    scores[j] = exp_clamped(scores[j] - most);
    sum += scores[j];
  }
  const float share = 1.0F / sum;
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) {
    scores[j] *= share;
  }
}

// One query head over `n` keys and values of its KV head.
template <typename T>
ERRATA_INLINE void attend_head(
    const Attention& shape,
    std::int64_t n,
    const T* q,
    const T* keys,
    const T* values,
    T* out,
    float* scratch) {
  const std::int64_t dim = shape.head_dim;
  float* const query = scratch;
  float* const sum = scratch + dim;
  float* const scores = scratch + 2 * dim;
#pragma omp simd
  for (std::int64_t t = 0; t < dim; ++t) {
    query[t] = widen(q[t]) * shape.scale;
  }
  if (dim % kLanes == 0) {
    scores_in_lanes(dim, n, query, keys, scores);
    softmax_row(shape.softcap, n, scores);
    mix_in_lanes(dim, n, scores, values, sum);
  } else {
    scores_of(dim, n, query, keys, scores);
    softmax_row(shape.softcap, n, scores);
    mix_of(dim, n, scores, values, sum);
  }
#pragma omp simd
  for (std::int64_t t = 0; t < dim; ++t) {
    store(out[t], sum[t]);
  }
}

template <typename T>
ERRATA_INLINE void attend_row(
    const Attention& shape,
    std::int64_t steps,
    std::int64_t before,
    std::int64_t slots,
    const T* q,
    const T* keys,
    const T* values,
    T* out,
    float* scratch) {
  const std::int64_t share = shape.heads / shape.kv_heads;
  for (std::int64_t h = 0; h < shape.heads; ++h) {
    const std::int64_t head = h / share * slots * shape.head_dim;
    for (std::int64_t i = 0; i < steps; ++i) {
      const std::int64_t at = (i * shape.heads + h) * shape.head_dim;
      attend_head(shape, before + i + 1, q + at, keys + head, values + head, out + at, scratch);
    }
  }
}

// Of each block the largest number is found in registers, and its place only where it is larger
// than all before.
template <typename T>
ERRATA_INLINE std::int64_t largest_of(std::int64_t n, const T* x) {
  constexpr std::int64_t kBlock = 512;
  float most = -std::numeric_limits<float>::infinity();
  std::int64_t place = 0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = std::min(n, begin + kBlock);
    float high = most;
    std::int32_t broken = 0;
#pragma omp simd reduction(max : high) reduction(+ : broken)
    for (std::int64_t i = begin; i < end; ++i) {
      const float value = widen(x[i]);
      high = value > high ? value : high;
      broken += value != value ? 1 : 0;
    }
    if (broken > 0) {
      return std::find_if(
                 x + begin, x + end, [](T value) { return widen(value) != widen(value); }) -
             x;
    }
    if (high > most) {
      most = high;
      place = std::find_if(x + begin, x + end, [&](T value) { return widen(value) == high; }) - x;
    }
  }
  return place;
}

template <typename T>
ERRATA_INLINE void largest_of_rows(
    std::int64_t n, std::int64_t rows, const T* x, std::int64_t* places) {
  for (std::int64_t row = 0; row < rows; ++row) {
    places[row] = largest_of(n, x + row * n);
  }
}

} // namespace

std::int64_t attention_cached_scratch(const Attention& shape, std::int64_t longest) {
  return 2 * shape.head_dim + longest;
}

ERRATA_CLONES void attention_cached(
    const Attention& shape,
    std::int64_t steps,
    std::int64_t before,
    std::int64_t slots,
    const float* q,
    const float* keys,
    const float* values,
    float* out,
    float* scratch) {
  attend_row(shape, steps, before, slots, q, keys, values, out, scratch);
}

ERRATA_CLONES void attention_cached(
    const Attention& shape,
    std::int64_t steps,
    std::int64_t before,
    std::int64_t slots,
    const Bfloat16* q,
    const Bfloat16* keys,
    const Bfloat16* values,
    Bfloat16* out,
    float* scratch) {
  attend_row(shape, steps, before, slots, q, keys, values, out, scratch);
}

ERRATA_CLONES void largest(
    std::int64_t n, std::int64_t rows, const float* x, std::int64_t* places) {
  largest_of_rows(n, rows, x, places);
}

ERRATA_CLONES void largest(
    std::int64_t n, std::int64_t rows, const Bfloat16* x, std::int64_t* places) {
  largest_of_rows(n, rows, x, places);
}

} // namespace errata::kernels
