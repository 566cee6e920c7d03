#pragma once

#include "core/kernels.h"
#include "core/parallel_rows.h"
#include "core/torch.h"

namespace errata {

/// True when the kernels of core/kernels.h take these tensors: defined, on the CPU, all of the
/// first one's dtype, which is float32 or bfloat16.
template <typename... Tensors>
bool kernels_take(const torch::Tensor& first, const Tensors&... others) {
  const torch::Dtype dtype = first.scalar_type();
  const auto fits = [&](const torch::Tensor& x) {
    return x.defined() && x.device().is_cpu() && x.layout() == torch::kStrided &&
           x.scalar_type() == dtype;
  };
  return (dtype == torch::kFloat32 || dtype == torch::kBFloat16) && fits(first) &&
         (fits(others) && ...);
}

/// Calls `work` with a float or a kernels::Bfloat16, whichever `dtype` is.
template <typename Work>
void with_kernel_type(torch::Dtype dtype, const Work& work) {
  if (dtype == torch::kBFloat16) {
    work(kernels::Bfloat16{});
  } else {
    work(float{});
  }
}

/// Null for an undefined tensor.
template <typename T>
T* kernel_data(const torch::Tensor& x) {
  return x.defined() ? static_cast<T*>(x.data_ptr()) : nullptr;
}

} // namespace errata
