#include "core/linear.h"

#include <algorithm>

namespace errata {

LinearImpl::LinearImpl(
    std::int64_t in_features,
    std::int64_t out_features,
    bool with_bias,
    torch::TensorOptions options,
    bool transposed)
    : weight(register_parameter("weight", torch::empty({out_features, in_features}, options))),
      transposed_in_files(transposed) {
  if (with_bias) {
    bias = register_parameter("bias", torch::empty({out_features}, options));
  }
}

torch::Tensor LinearImpl::forward(const torch::Tensor& given) {
  torch::Tensor x = given;
  for (const auto& attachment : attachments_) {
    x = attachment->prepare(x);
  }
  const torch::Dtype dtype = x.scalar_type();
  torch::Tensor y =
      torch::linear(x, weight.to(dtype), bias.defined() ? bias.to(dtype) : torch::Tensor());
  for (const auto& attachment : attachments_) {
    y = attachment->apply(x, y);
  }
  return y;
}

void LinearImpl::attach(std::shared_ptr<LinearAttachment> attachment) {
  attachments_.push_back(std::move(attachment));
}

void LinearImpl::detach(const LinearAttachment* attachment) {
  std::erase_if(attachments_, [&](const auto& held) { return held.get() == attachment; });
}

} // namespace errata
