#pragma once

#include "core/adaptable.h"
#include "core/torch.h"

namespace errata {

/// `y = x W^T + b`. Parameters are cast to the dtype of `x` when they differ (float32 masters,
/// bfloat16 compute).
class LinearImpl : public AdaptableImpl {
 public:
  /// Weights [out, in] are left uninitialised.
  LinearImpl(
      std::int64_t in_features,
      std::int64_t out_features,
      bool with_bias,
      torch::TensorOptions options = {},
      bool transposed = false);
  /// Uses a weight [out, in] that is another module's parameter and none of its own.
  explicit LinearImpl(torch::Tensor shared);

  torch::Tensor forward(const torch::Tensor& x) { return adapted(x, x.scalar_type()); }
  torch::Tensor compute(
      const torch::Tensor& x,
      const ModuleParameters& parameters,
      torch::Dtype dtype) const override;

  /// Files have the weight as [in, out]; in memory it is [out, in] all the same, perhaps as a view.
  const bool transposed_in_files;
};
TORCH_MODULE(Linear);

} // namespace errata
