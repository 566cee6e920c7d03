#include "peft/attachment.h"

#include "peft/lora_function.h"

namespace errata::peft {

torch::Tensor Attachment::apply(const torch::Tensor& x, const torch::Tensor& y) {
  const bool active = enabled && kept == nullptr && weight != 0.0;
  return active ? branch(x, y) : y;
}

LoraAttachment::LoraAttachment(torch::Tensor a, torch::Tensor b, double scale, double dropout)
    : a_(std::move(a)), b_(std::move(b)), scale_(scale), dropout_(dropout) {}

std::vector<std::pair<std::string, torch::Tensor>> LoraAttachment::named_tensors() const {
  return {{"lora_A.weight", a_}, {"lora_B.weight", b_}};
}

torch::Tensor LoraAttachment::branch(const torch::Tensor& x, const torch::Tensor& y) {
  return lora_forward(x, y, a_, b_, weight * scale_, dropout_);
}

torch::Tensor LoraAttachment::change() const {
  const torch::NoGradGuard no_grad;
  return torch::mm(b_, a_).mul_(scale_);
}

DeltaAttachment::DeltaAttachment(torch::Tensor delta) : delta_(std::move(delta)) {}

std::vector<std::pair<std::string, torch::Tensor>> DeltaAttachment::named_tensors() const {
  return {{"delta", delta_}};
}

torch::Tensor DeltaAttachment::branch(const torch::Tensor& x, const torch::Tensor& y) {
  if (!cast_.defined() || cast_.scalar_type() != x.scalar_type()) {
    cast_ = delta_.to(x.scalar_type());
  }
  const torch::Tensor input = x.reshape({-1, x.size(-1)});
  const torch::Tensor output = y.reshape({-1, y.size(-1)});
  if (torch::GradMode::is_enabled()) {
    return torch::addmm(output, input, cast_.t(), 1.0, weight).view(y.sizes());
  }
  torch::Tensor result = output;
  result.addmm_(input, cast_.t(), 1.0, weight);
  return result.view(y.sizes());
}

torch::Tensor DeltaAttachment::change() const {
  return delta_.clone();
}

std::shared_ptr<KeptWeight> kept_weight(const LinearImpl& linear) {
  for (const auto& entry : linear.attachments()) {
    const auto* attachment = dynamic_cast<const Attachment*>(entry.get());
    if (attachment != nullptr && attachment->kept != nullptr) {
      return attachment->kept;
    }
  }
  return nullptr;
}

void rewrite_merged_weight(LinearImpl& linear, const KeptWeight& kept) {
  const torch::NoGradGuard no_grad;
  torch::Tensor sum;
  for (const auto& entry : linear.attachments()) {
    const auto* attachment = dynamic_cast<const Attachment*>(entry.get());
    if (attachment != nullptr && attachment->kept != nullptr && attachment->enabled) {
      const torch::Tensor delta = attachment->delta();
      sum = sum.defined() ? sum.add_(delta) : delta;
    }
  }
  linear.weight.set_data(
      sum.defined() ? sum.add_(kept.value).to(kept.value.scalar_type()) : kept.value);
}

} // namespace errata::peft
