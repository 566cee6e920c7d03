#include "peft/dora.h"

#include "peft/attached_adapter.h"
#include "peft/lora_function.h"

namespace errata::peft {

DoraAttachment::DoraAttachment(
    Adaptable adapted, LowRank factors, double scale, double dropout, Start start)
    : BoundAttachment(std::move(adapted)),
      table_(is_table(module())),
      factors_(std::move(factors)),
      scale_(scale),
      dropout_(dropout) {
  const torch::Tensor& b = factors_.b;
  magnitude_ = start == Start::kFromFile ? torch::empty({b.size(0)}, b.device()) : norms().clone();
  magnitude_.requires_grad_(true);
}

NamedTensors DoraAttachment::named_tensors() const {
  NamedTensors tensors = named_factors(factors_, table_);
  tensors.emplace_back("lora_magnitude_vector", magnitude_);
  return tensors;
}

torch::Tensor DoraAttachment::base_matrix() const {
  const torch::Tensor w = base().weight.detach().to(factors_.a.scalar_type());
  return table_ ? w.t() : w;
}

// ||W + s B A||^2 = ||W||^2 + 2 s <W A^T, B> + s^2 <B A A^T, B>, row by row: no [out, in] matrix is
// made but the weight in float32.
torch::Tensor DoraAttachment::norms() {
  const bool training = torch::GradMode::is_enabled();
  const torch::NoGradGuard no_grad;
  // A step writes into the parameters' storage without a trace in their versions, so what was kept
  // is forgotten by every pass that a step may follow.
  const std::pair<std::int64_t, std::int64_t> versions(
      factors_.a._version(), factors_.b._version());
  std::unique_lock<std::mutex> lock(keeping_);
  if (!training && kept_norms_.defined() && kept_versions_ == versions) {
    return kept_norms_;
  }
  const torch::Tensor a = factors_.a.detach();
  const torch::Tensor b = factors_.b.detach();
  const torch::Tensor w = base_matrix();
  if (!weight_squares_.defined()) {
    weight_squares_ = w.square().sum(1);
  }
  const torch::Tensor squares = weight_squares_;
  lock.unlock();
  const torch::Tensor cross = (torch::mm(w, a.t()) * b).sum(1);
  const torch::Tensor own = (torch::mm(b, torch::mm(a, a.t())) * b).sum(1);
  torch::Tensor result = (squares + 2 * scale_ * cross + scale_ * scale_ * own).clamp_min(0).sqrt();
  lock.lock();
  kept_norms_ = training ? torch::Tensor() : result;
  kept_versions_ = versions;
  return result;
}

torch::Tensor DoraAttachment::branch(const torch::Tensor& x, const torch::Tensor& y) {
  const torch::Tensor gain = (magnitude_ / norms()).to(y.scalar_type());
  const torch::Tensor unscaled = weight == 1.0 ? y : y.clone(); // what comes may write into y
  const auto [own_weight, bias] = base();
  torch::Tensor input = x;
  torch::Tensor product = bias.defined() ? y - bias.to(y.scalar_type()) : y; // W x
  if (!table_ && dropout_ > 0 && torch::GradMode::is_enabled() && magnitude_.requires_grad()) {
    // As PEFT: base and branch see the same dropped input.
    input = torch::dropout(x, dropout_, /*train=*/true);
    product = torch::linear(input, own_weight.to(x.scalar_type()));
  }
  const torch::Tensor changed =
      table_ ? table_lora_forward(input, product, factors_.a, factors_.b, scale_)
             : lora_forward(input, product, factors_.a, factors_.b, scale_, /*dropout=*/0.0);
  torch::Tensor adapted = changed * gain;
  if (bias.defined()) {
    adapted = adapted + bias.to(y.scalar_type());
  }
  return weight == 1.0 ? adapted : unscaled + weight * (adapted - unscaled);
}

torch::Tensor DoraAttachment::change() const {
  const torch::Tensor w = base_matrix();
  const torch::Tensor changed = torch::addmm(w, factors_.b, factors_.a, 1.0, scale_);
  const torch::Tensor factor = magnitude_ / torch::linalg_vector_norm(changed, 2, {1});
  const torch::Tensor difference = changed * factor.unsqueeze(1) - w;
  return table_ ? difference.t().contiguous() : difference;
}

} // namespace errata::peft
