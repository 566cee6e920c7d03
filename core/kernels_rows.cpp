#include "core/kernels.h"
#include "core/kernels_simd.h"

namespace errata::kernels {
namespace {

template <typename T>
ERRATA_INLINE void add_to_rows(
    std::int64_t n, std::int64_t count, const std::int64_t* rows, const T* x, float* sums) {
  for (std::int64_t i = 0; i < count; ++i, x += n) {
    float* const sum = sums + rows[i] * n;
#pragma omp simd
    for (std::int64_t k = 0; k < n; ++k) {
      sum[k] += widen(x[k]);
    }
  }
}

} // namespace

ERRATA_CLONES void add_rows(
    std::int64_t n, std::int64_t count, const std::int64_t* rows, const float* x, float* sums) {
  add_to_rows(n, count, rows, x, sums);
}

ERRATA_CLONES void add_rows(
    std::int64_t n, std::int64_t count, const std::int64_t* rows, const Bfloat16* x, float* sums) {
  add_to_rows(n, count, rows, x, sums);
}

} // namespace errata::kernels
