#pragma once

#include "core/torch.h"

namespace errata {

/// h_t = a_t h_{t-1} + b_t from h_{-1} = `start`: `a`, `b` [sequences, steps, channels] and `start`
/// [sequences, channels] of one dtype, float32 or float64; the result is like `b`. Differentiable
/// in a and b. On the CPU one pass over the steps, elsewhere log2(steps) passes over everything
/// (Blelloch 1990, "Prefix sums and their applications").
torch::Tensor linear_scan(
    const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& start);

/// The form for devices; `a` and `b` may be of any one dtype.
torch::Tensor scan_by_doubling(torch::Tensor a, torch::Tensor b, const torch::Tensor& start);

} // namespace errata
