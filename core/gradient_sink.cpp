#include "core/gradient_sink.h"

#include <utility>

namespace errata {

GradientSink::GradientSink(std::vector<torch::Tensor> trained)
    : trained_(std::move(trained)), sums_(trained_.size()) {}

torch::Tensor GradientSink::backward(
    const torch::Tensor& output, const torch::Tensor& gradient, const torch::Tensor& input) {
  if (trained_.empty()) {
    output.backward(gradient);
    return input.defined() ? input.grad() : torch::Tensor();
  }
  std::vector<torch::Tensor> leaves = trained_;
  if (input.defined()) {
    leaves.push_back(input);
  }
  const std::vector<torch::Tensor> arrived = torch::autograd::grad(
      {output},
      leaves,
      {gradient},
      /*retain_graph=*/false,
      /*create_graph=*/false,
      /*allow_unused=*/true);
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    if (arrived[i].defined()) {
      sums_[i] = sums_[i].defined() ? sums_[i] + arrived[i] : arrived[i];
    }
  }
  return input.defined() ? arrived.back() : torch::Tensor();
}

void GradientSink::add_to_parameters() const {
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    if (sums_[i].defined()) {
      torch::Tensor& own = torch::Tensor(trained_[i]).mutable_grad();
      own = own.defined() ? own.add_(sums_[i]) : sums_[i];
    }
  }
}

} // namespace errata
