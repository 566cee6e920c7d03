#pragma once

#include "core/norm.h"
#include "core/torch.h"

namespace errata {

/// RMSNorm over the last dimension of `x` [..., n], statistics in float32 (Zhang & Sennrich 2019,
/// arXiv 1910.07467). With `adds_one` (Gemma) the factor is `1 + weight`, multiplied in float32 and
/// rounded last; without (Llama) the normalised value is rounded first.
torch::Tensor rms_norm(
    const torch::Tensor& x, const torch::Tensor& weight, double eps, bool adds_one);

class RmsNormImpl : public NormImpl {
 public:
  /// The weight [size] is left uninitialised.
  RmsNormImpl(std::int64_t size, double eps, bool adds_one, torch::TensorOptions options = {});

  torch::Tensor compute(
      const torch::Tensor& x,
      const ModuleParameters& parameters,
      torch::Dtype /*dtype*/) const override {
    return rms_norm(x, parameters.weight, eps_, adds_one_);
  }

  bool adds_one() const { return adds_one_; }
  double eps() const { return eps_; }

 private:
  double eps_;
  bool adds_one_;
};
TORCH_MODULE(RmsNorm);

} // namespace errata
