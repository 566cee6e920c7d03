#include "core/norm.h"

#include "core/rms_norm.h"

namespace errata {
namespace {

/// LayerNorm with a bias (1607.06450).
class LayerNormImpl : public NormImpl {
 public:
  LayerNormImpl(std::int64_t size, double eps, torch::TensorOptions options)
      : weight_(register_parameter("weight", torch::empty({size}, options))),
        bias_(register_parameter("bias", torch::empty({size}, options))),
        eps_(eps) {}

  torch::Tensor forward(const torch::Tensor& x) override {
    const torch::Dtype dtype = x.scalar_type();
    return torch::layer_norm(x, weight_.sizes(), weight_.to(dtype), bias_.to(dtype), eps_);
  }

 private:
  torch::Tensor weight_;
  torch::Tensor bias_;
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
