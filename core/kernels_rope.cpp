#include "core/kernels.h"
#include "core/kernels_simd.h"

namespace errata::kernels {
namespace {

template <typename T>
ERRATA_INLINE void rotate_rows(
    const Rotation& rotation, std::int64_t rows, const T* x, const T* cos, const T* sin, T* y) {
  const std::int64_t half = rotation.half;
  const float sign = rotation.opposite ? -1.0F : 1.0F;
  for (std::int64_t row = 0; row < rows; ++row, cos += half, sin += half) {
    for (std::int64_t head = 0; head < rotation.heads; ++head, x += 2 * half, y += 2 * half) {
#pragma omp simd
      for (std::int64_t i = 0; i < half; ++i) {
        const float c = widen(cos[i]);
        const float s = widen(sin[i]) * sign;
        const float first = widen(x[i]);
        const float second = widen(x[half + i]);
        store(y[i], first * c - second * s);
        store(y[half + i], second * c + first * s);
      }
    }
  }
}

} // namespace

ERRATA_CLONES void rotate(
    const Rotation& rotation,
    std::int64_t rows,
    const float* x,
    const float* cos,
    const float* sin,
    float* y) {
  rotate_rows(rotation, rows, x, cos, sin, y);
}

ERRATA_CLONES void rotate(
    const Rotation& rotation,
    std::int64_t rows,
    const Bfloat16* x,
    const Bfloat16* cos,
    const Bfloat16* sin,
    Bfloat16* y) {
  rotate_rows(rotation, rows, x, cos, sin, y);
}

} // namespace errata::kernels
