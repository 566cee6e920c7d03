#include "core/parallel_rows.h"

#include "core/torch.h"

#include <algorithm>

namespace errata {

// at::parallel_for is a template that is serial unless its caller is compiled with the OpenMP that
// LibTorch brings along. An iterator splits its range inside LibTorch, on whatever threads it has;
// the bytes it goes over only count the rows.
void parallel_rows(
    std::int64_t rows,
    std::int64_t row_cost,
    const std::function<void(std::int64_t, std::int64_t)>& work) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, at::internal::GRAIN_SIZE / std::max<std::int64_t>(1, row_cost));
  if (rows <= grain) {
    work(0, rows);
    return;
  }
  torch::Tensor counter = torch::empty({rows}, torch::kUInt8);
  const char* const first = static_cast<const char*>(counter.const_data_ptr());
  at::TensorIterator iterator = at::TensorIterator::nullary_op(counter);
  iterator.for_each(
      // One dimension: the outer loop of the two has a single round.
      [&](char** data, const std::int64_t*, std::int64_t count, std::int64_t) {
        const std::int64_t begin = data[0] - first;
        work(begin, begin + count);
      },
      grain);
}

void side_by_side(std::int64_t count, const std::function<void(std::int64_t)>& work) {
  const bool gradients = torch::GradMode::is_enabled();
  parallel_rows(count, at::internal::GRAIN_SIZE, [&](std::int64_t begin, std::int64_t end) {
    const torch::AutoGradMode mode(gradients);
    for (std::int64_t i = begin; i < end; ++i) {
      work(i);
    }
  });
}

} // namespace errata
