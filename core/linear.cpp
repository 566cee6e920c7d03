#include "core/linear.h"

#include "core/product.h"

#include <utility>

namespace errata {

LinearImpl::LinearImpl(
    std::int64_t in_features,
    std::int64_t out_features,
    bool with_bias,
    torch::TensorOptions options,
    bool transposed)
    : transposed_in_files(transposed) {
  own_weight(torch::empty({out_features, in_features}, options));
  if (with_bias) {
    own_bias(torch::empty({out_features}, options));
  }
}

LinearImpl::LinearImpl(torch::Tensor shared) : transposed_in_files(false) {
  weight = std::move(shared);
}

torch::Tensor LinearImpl::compute(
    const torch::Tensor& x, const ModuleParameters& parameters, torch::Dtype dtype) const {
  const auto& [matrix, shift] = parameters;
  return product(x, matrix.to(dtype), shift.defined() ? shift.to(dtype) : torch::Tensor());
}

} // namespace errata
