#pragma once

#include "core/torch.h"

namespace errata {

/// True where products of `dtype` run on kernels that oneDNN compiles for each number of rows:
/// bfloat16 on a CPU; float32 on an AMD one with AVX-512, of which MKL, LibTorch's choice there,
/// uses half.
bool compiles_products(const torch::Device& device, torch::Dtype dtype);

/// `x W^T + b` with its gradients: `x` [..., in], `weight` [out, in], `bias` [out] or undefined.
torch::Tensor product(
    const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias);

} // namespace errata
