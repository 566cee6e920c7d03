#pragma once

#include "core/torch.h"

namespace errata::peft {

/// `y + scale * (drop(x) A^T) B^T` (2106.09685, eq. 3) with a backward pass of its own: the four
/// products are formed in the dtype of `x`, gradients that nobody asks for are skipped, and only
/// the input and the [rows, r] product are kept.
///
/// `x` [..., in], `y` [..., out] in the same dtype, `a` [r, in] and `b` [out, r] in float32. With
/// gradients off, `y` is changed in place and returned. `dropout` in [0, 1) acts on `x` while
/// gradients are on and `a` or `b` is trained.
torch::Tensor lora_forward(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const torch::Tensor& a,
    const torch::Tensor& b,
    double scale,
    double dropout);

/// `y + scale * B A e(x)` for a table of vectors: e(x) is the unit vector of the id in each row of
/// `x` [rows], `y` [rows, hidden], `a` [r, entries], `b` [hidden, r].
torch::Tensor table_lora_forward(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const torch::Tensor& a,
    const torch::Tensor& b,
    double scale);

} // namespace errata::peft
