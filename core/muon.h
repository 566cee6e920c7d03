#pragma once

#include "core/optimizer.h"

namespace errata {

/// About U V^T of each matrix U S V^T of `matrices` [n, rows, cols]: five steps of the quintic
/// Newton-Schulz iteration X <- a X + (b X X^T + c (X X^T)^2) X with (3.4445, -4.775, 2.0315),
/// which leaves singular values near 1 rather than at it. Computed in `dtype` for all matrices at
/// once.
torch::Tensor newton_schulz(const torch::Tensor& matrices, torch::Dtype dtype);

/// Muon (Jordan 2024; step size as in 2502.16982): the momentum of each matrix, orthogonalised,
/// with rate lr * 0.2 * sqrt(max(rows, cols)) so that updates have the size of AdamW's.
std::unique_ptr<OptimizerRule> make_muon(
    FlatParameters& parameters,
    const FlatParameters::Group& group,
    const OptimizerOptions& options);

} // namespace errata
