#include "core/norm.h"

#include "core/rms_norm.h"

namespace errata {
namespace {

/// LayerNorm with a bias (1607.06450).
class LayerNormImpl : public NormImpl {
 public:
  LayerNormImpl(std::int64_t size, double eps, torch::TensorOptions options) : eps_(eps) {
    own_weight(torch::empty({size}, options));
    own_bias(torch::empty({size}, options));
  }

  torch::Tensor compute(
      const torch::Tensor& x,
      const ModuleParameters& parameters,
      torch::Dtype dtype) const override {
    const auto& [factor, shift] = parameters;
    return torch::layer_norm(x, factor.sizes(), factor.to(dtype), shift.to(dtype), eps_);
  }

 private:
  double eps_;
};

} // namespace

Norm make_norm(const DecoderConfig& config, std::int64_t size, torch::TensorOptions options) {
  if (config.norm == NormKind::kLayer) {
    return std::make_shared<LayerNormImpl>(size, config.norm_eps, options);
  }
  return std::make_shared<RmsNormImpl>(size, config.norm_eps, config.norm_adds_one, options);
}

} // namespace errata
