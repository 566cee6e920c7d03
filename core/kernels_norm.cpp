#include "core/kernels.h"
#include "core/kernels_simd.h"

#include <cmath>

namespace errata::kernels {
namespace {

template <typename T>
ERRATA_INLINE void forward_rows(
    const NormForward& norm, std::int64_t rows, const T* x, T* y, float* inverse) {
  const std::int64_t n = norm.n;
  const float* const factor = norm.factor;
  for (std::int64_t row = 0; row < rows; ++row, x += n, y += n) {
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t i = 0; i < n; ++i) {
      const float value = widen(x[i]);
      squares += value * value;
    }
    const float r = 1.0F / std::sqrt(squares / static_cast<float>(n) + norm.eps);
    if (inverse != nullptr) {
      inverse[row] = r;
    }
    if (norm.rounds_first) {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) {
        store(y[i], rounded<T>(widen(x[i]) * r) * factor[i]);
      }
    } else {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) {
        store(y[i], widen(x[i]) * r * factor[i]);
      }
    }
  }
}

template <typename T>
ERRATA_INLINE void backward_rows(
    const NormBackward& norm,
    std::int64_t rows,
    const T* grad,
    const T* x,
    const float* inverse,
    T* grad_x,
    float* grad_factor) {
  const std::int64_t n = norm.n;
  const float* const factor = norm.factor;
  for (std::int64_t row = 0; row < rows; ++row, grad += n, x += n) {
    const float r = inverse[row];
    if (grad_factor != nullptr) {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) {
        grad_factor[i] += widen(grad[i]) * (widen(x[i]) * r);
      }
    }
    if (grad_x == nullptr) {
      continue;
    }
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t i = 0; i < n; ++i) {
      dot += widen(grad[i]) * factor[i] * widen(x[i]);
    }
    const float along = dot * r * r / static_cast<float>(n);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      store(grad_x[i], (widen(grad[i]) * factor[i] - widen(x[i]) * along) * r);
    }
    grad_x += n;
  }
}

} // namespace

ERRATA_CLONES void norm_forward(
    const NormForward& norm, std::int64_t rows, const float* x, float* y, float* inverse) {
  forward_rows(norm, rows, x, y, inverse);
}

ERRATA_CLONES void norm_forward(
    const NormForward& norm, std::int64_t rows, const Bfloat16* x, Bfloat16* y, float* inverse) {
  forward_rows(norm, rows, x, y, inverse);
}

ERRATA_CLONES void norm_backward(
    const NormBackward& norm,
    std::int64_t rows,
    const float* grad,
    const float* x,
    const float* inverse,
    float* grad_x,
    float* grad_factor) {
  backward_rows(norm, rows, grad, x, inverse, grad_x, grad_factor);
}

ERRATA_CLONES void norm_backward(
    const NormBackward& norm,
    std::int64_t rows,
    const Bfloat16* grad,
    const Bfloat16* x,
    const float* inverse,
    Bfloat16* grad_x,
    float* grad_factor) {
  backward_rows(norm, rows, grad, x, inverse, grad_x, grad_factor);
}

} // namespace errata::kernels
