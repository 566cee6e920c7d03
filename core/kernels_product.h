#pragma once

#include "core/kernels_simd.h"

#include <cstdint>

/// Products of small float matrices, four rows at a time, with the sums in registers.
namespace errata::kernels {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kTileRows = 4;

// Sixteen floats, which the compiler maps to the registers of each instruction set; sums in an
// array it would keep in memory.
using Lanes = float __attribute__((vector_size(4 * kLanes)));

ERRATA_INLINE void read(Lanes& to, const float* from) {
  __builtin_memcpy(&to, from, sizeof(to));
}

ERRATA_INLINE std::int64_t up_to(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// The left matrix of a product: entry (i, t) at data[i * row + t * step].
struct Left {
  const float* data;
  std::int64_t row;
  std::int64_t step;
};

// c[4, 16 kWide] (+)= a[4, from:to] b[from:to, 16 kWide]; rows of b and c are `stride` apart.
template <int kWide>
ERRATA_INLINE void multiply_tile(
    Left a,
    const float* b,
    std::int64_t b_stride,
    float* c,
    std::int64_t c_stride,
    std::int64_t from,
    std::int64_t to,
    bool adds) {
  Lanes sum[kTileRows][kWide];
  for (int i = 0; i < kTileRows; ++i) {
    for (int w = 0; w < kWide; ++w) {
      sum[i][w] = Lanes{};
      if (adds) {
        read(sum[i][w], c + i * c_stride + w * kLanes);
      }
    }
  }
  for (std::int64_t t = from; t < to; ++t) {
    Lanes right[kWide];
    for (int w = 0; w < kWide; ++w) {
      read(right[w], b + t * b_stride + w * kLanes);
    }
    for (int i = 0; i < kTileRows; ++i) {
      const float left = a.data[i * a.row + t * a.step];
      for (int w = 0; w < kWide; ++w) {
        sum[i][w] += left * right[w];
      }
    }
  }
  for (int i = 0; i < kTileRows; ++i) {
    for (int w = 0; w < kWide; ++w) {
      __builtin_memcpy(c + i * c_stride + w * kLanes, &sum[i][w], sizeof(Lanes));
    }
  }
}

// The same for four rows of any number of columns, a multiple of 16.
ERRATA_INLINE void multiply_rows(
    Left a,
    const float* b,
    std::int64_t b_stride,
    float* c,
    std::int64_t c_stride,
    std::int64_t columns,
    std::int64_t from,
    std::int64_t to,
    bool adds) {
  std::int64_t j = 0;
  for (; j + 2 * kLanes <= columns; j += 2 * kLanes) {
    multiply_tile<2>(a, b + j, b_stride, c + j, c_stride, from, to, adds);
  }
  if (j < columns) {
    multiply_tile<1>(a, b + j, b_stride, c + j, c_stride, from, to, adds);
  }
}

} // namespace errata::kernels
