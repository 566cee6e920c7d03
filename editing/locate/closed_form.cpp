#include "editing/locate/closed_form.h"

#include "core/base/error.h"

#include <cmath>

namespace errata::editing {
namespace {

/// The solution of `a` x = `b` for a symmetric positive definite `a`.
torch::Tensor solved(const torch::Tensor& a, const torch::Tensor& b) {
  const auto [factor, info] = torch::linalg_cholesky_ex(a);
  ERRATA_CHECK(
      info.item<std::int64_t>() == 0,
      ErrorCode::kUnsupported,
      "the second moment of a layer's inputs is singular: its statistics hold too few tokens; give "
      "more text");
  return torch::cholesky_solve(b, factor);
}

} // namespace

torch::Tensor rome_update(
    const torch::Tensor& key,
    const torch::Tensor& mean,
    const torch::Tensor& residual,
    const torch::Tensor& moment) {
  constexpr double kLeastShare = 1e-4;
  torch::Tensor u = moment.defined() ? solved(moment, mean.unsqueeze(1)).squeeze(1) : mean;
  u = u / u.norm();
  const double share = key.dot(u).item<double>();
  ERRATA_CHECK(
      std::abs(share) >= kLeastShare * key.norm().item<double>(),
      ErrorCode::kUnsupported,
      "an edit's key has nothing in the direction that is written to (",
      share,
      "): the change would blow up; edit another layer");
  return torch::outer(residual / share, u);
}

torch::Tensor memit_update(
    const torch::Tensor& keys,
    const torch::Tensor& residual,
    const torch::Tensor& moment,
    double weight) {
  const torch::Tensor system = torch::addmm(moment, keys, keys.t(), weight);
  return torch::mm(residual, solved(system, keys).t());
}

torch::Tensor null_basis(const torch::Tensor& moment, double threshold) {
  const auto [values, vectors] = torch::linalg_eigh(moment);
  return vectors.index_select(1, (values < threshold).nonzero().flatten());
}

torch::Tensor alphaedit_update(
    const torch::Tensor& keys,
    const torch::Tensor& residual,
    const torch::Tensor& basis,
    const torch::Tensor& earlier,
    double ridge) {
  const torch::Tensor k = torch::mm(basis.t(), keys);
  torch::Tensor system = torch::mm(k, k.t());
  if (earlier.defined()) {
    system += basis.t().mm(earlier).mm(basis);
  }
  system.diagonal().add_(ridge);
  return torch::mm(residual, torch::mm(basis, solved(system, k)).t());
}

} // namespace errata::editing
