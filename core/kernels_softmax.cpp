#include "core/kernels.h"
#include "core/kernels_simd.h"

#include <cmath>

namespace errata::kernels {
namespace {

template <typename T>
ERRATA_INLINE float largest(std::int64_t n, const T* x) {
  float most = widen(x[0]);
#pragma omp simd reduction(max : most)
  for (std::int64_t i = 0; i < n; ++i) {
    const float value = widen(x[i]);
    most = value > most ? value : most;
  }
  return most;
}

// exp(x - most), and their sum.
template <typename T>
ERRATA_INLINE float exponentials(std::int64_t n, const T* x, float most, float* to) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    to[i] = exp_clamped(widen(x[i]) - most);
    sum += to[i];
  }
  return sum;
}

template <typename T>
ERRATA_INLINE void label_rows(
    const Labels& labels, std::int64_t rows, T* x, float* losses, float* scratch) {
  const std::int64_t n = labels.n;
  for (std::int64_t row = 0; row < rows; ++row, x += n) {
    const float most = largest(n, x);
    const float sum = exponentials(n, x, most, scratch);
    T& labelled = x[labels.ids[row]];
    losses[row] = most + std::log(sum) - widen(labelled);
    const float weight = labels.weights[row];
    const float share = weight / sum;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      store(x[i], share * scratch[i]);
    }
    store(labelled, weight * (exp_clamped(-losses[row]) - 1.0F));
  }
}

} // namespace

ERRATA_CLONES void label_gradient(
    const Labels& labels, std::int64_t rows, float* logits, float* losses, float* scratch) {
  label_rows(labels, rows, logits, losses, scratch);
}

ERRATA_CLONES void label_gradient(
    const Labels& labels, std::int64_t rows, Bfloat16* logits, float* losses, float* scratch) {
  label_rows(labels, rows, logits, losses, scratch);
}

} // namespace errata::kernels
