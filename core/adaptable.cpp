#include "core/adaptable.h"

#include <utility>

namespace errata {

torch::Tensor AdaptableImpl::adapted(const torch::Tensor& given, torch::Dtype dtype) {
  if (attachments_.empty()) {
    return compute(given, own(), dtype);
  }
  torch::Tensor x = given;
  for (const auto& attachment : attachments_) {
    x = attachment->prepare(x);
  }
  // Only the first: what comes before it would be lost.
  const ModuleParameters* const others = attachments_.front()->in_place();
  torch::Tensor y = compute(x, others != nullptr ? *others : own(), dtype);
  for (std::size_t i = others != nullptr ? 1 : 0; i < attachments_.size(); ++i) {
    y = attachments_[i]->apply(x, y);
  }
  return y;
}

void AdaptableImpl::replace(const ModuleParameters& parameters) {
  const auto put = [&](const char* name, torch::Tensor& member, const torch::Tensor& value) {
    member = value;
    if (torch::Tensor* const registered = parameters_.find(name)) {
      *registered = value;
    }
  };
  put("weight", weight, parameters.weight);
  put("bias", bias, parameters.bias);
}

void AdaptableImpl::attach(std::shared_ptr<ModuleAttachment> attachment) {
  attachments_.push_back(std::move(attachment));
}

void AdaptableImpl::detach(const ModuleAttachment* attachment) {
  std::erase_if(attachments_, [&](const auto& held) { return held.get() == attachment; });
}

} // namespace errata
