#include "core/kernels.h"
#include "core/kernels_simd.h"

#include <cmath>

namespace errata::kernels {
namespace {

template <typename T>
ERRATA_INLINE float log_sum(std::int64_t n, const T* x) {
  float most = widen(x[0]);
#pragma omp simd reduction(max : most)
  for (std::int64_t i = 0; i < n; ++i) {
    const float value = widen(x[i]);
    most = value > most ? value : most;
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    sum += exp_clamped(widen(x[i]) - most);
  }
  return most + std::log(sum);
}

template <typename T>
ERRATA_INLINE void label_rows(const Labels& labels, std::int64_t rows, T* x, float* losses) {
  const std::int64_t n = labels.n;
  for (std::int64_t row = 0; row < rows; ++row, x += n) {
    const float total = log_sum(n, x);
    const float weight = labels.weights[row];
    T& labelled = x[labels.ids[row]];
    losses[row] = total - widen(labelled);
    const float at_label = weight * (exp_clamped(-losses[row]) - 1.0F);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      store(x[i], weight * exp_clamped(widen(x[i]) - total));
    }
    store(labelled, at_label);
  }
}

} // namespace

ERRATA_CLONES void label_gradient(
    const Labels& labels, std::int64_t rows, float* logits, float* losses) {
  label_rows(labels, rows, logits, losses);
}

ERRATA_CLONES void label_gradient(
    const Labels& labels, std::int64_t rows, Bfloat16* logits, float* losses) {
  label_rows(labels, rows, logits, losses);
}

} // namespace errata::kernels
