#pragma once

#include "core/torch.h"

// The updates of editors that solve for a weight instead of training it. A linear layer computes
// W k; columns of K [in, n] are the keys of n edits, columns of R [out, n] what the layer is to add
// to its outputs there, C [in, in] the uncentred second moment E[k k^T] of its inputs. All float64;
// the result is the change of W [out, in].

namespace errata::editing {

/// ROME (2202.05262, eq. 2): one key gets one value, with the least change for inputs as C has
/// them: (value - W k) u^T / (k^T u), u = C^-1 k_mean. `key` [in] is the one whose value is meant,
/// `mean` [in] the mean over contexts; R-ROME (2403.07175) has the mean for both. Without `moment`
/// C is the identity. `kUnsupported` when k^T u is next to nothing: the change would blow up.
torch::Tensor rome_update(
    const torch::Tensor& key,
    const torch::Tensor& mean,
    const torch::Tensor& residual,
    const torch::Tensor& moment);

/// MEMIT (2210.07229, eq. 14): R K^T (weight C + K K^T)^-1. `kUnsupported` when the matrix is
/// singular, as with statistics of too few tokens.
torch::Tensor memit_update(
    const torch::Tensor& keys,
    const torch::Tensor& residual,
    const torch::Tensor& moment,
    double weight);

/// An orthonormal basis [in, n] of the directions whose second moment is below `threshold`.
torch::Tensor null_basis(const torch::Tensor& moment, double threshold);

/// AlphaEdit (2410.02355, eq. 14): the change acts on the null space alone,
/// R K^T P (K K^T P + M P + ridge I)^-1 with P = U U^T, solved in the coordinates of U = `basis`,
/// where it is symmetric. `earlier` is M [in, in], the sum of k k^T of edits written before.
torch::Tensor alphaedit_update(
    const torch::Tensor& keys,
    const torch::Tensor& residual,
    const torch::Tensor& basis,
    const torch::Tensor& earlier,
    double ridge);

} // namespace errata::editing
