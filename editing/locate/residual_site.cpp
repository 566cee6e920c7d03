#include "editing/locate/residual_site.h"

#include "peft/attached_adapter.h"

namespace errata::editing {

ResidualSite::ResidualSite(const Decoder& model, std::int64_t layer) : layer_(layer) {
  const DecoderConfig& config = model->config();
  const std::string path = config.names.layer(layer);
  module_ = path + "." + config.names.mlp + "." + config.names.down;
  eps_ = config.norm_eps;
  adds_one_ = config.norm_adds_one;
  if (config.sandwich_norms) {
    norm_ = peft::find_module(model, path + ".post_feedforward_layernorm");
  }
}

torch::Tensor ResidualSite::added(const torch::Tensor& y) const {
  return norm_ ? norm_->compute(y, norm_->own(), y.scalar_type()) : y;
}

torch::Tensor ResidualSite::needed(const torch::Tensor& y, const torch::Tensor& change) const {
  if (!norm_) {
    return change;
  }
  const torch::Tensor gain = norm_->weight.to(y.scalar_type()) + (adds_one_ ? 1.0 : 0.0);
  const torch::Tensor rms = (y.square().mean(-1, /*keepdim=*/true) + eps_).sqrt();
  return change * rms / gain;
}

} // namespace errata::editing
