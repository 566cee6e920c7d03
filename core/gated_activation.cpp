#include "core/gated_activation.h"

#include "core/autograd.h"

namespace errata {
namespace {

torch::Tensor activate(const torch::Tensor& gate, Activation activation) {
  return activation == Activation::kSilu ? torch::silu(gate) : torch::gelu(gate, "tanh");
}

class GatedActivationFunction : public torch::autograd::Function<GatedActivationFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& gate,
      const torch::Tensor& up,
      bool silu) {
    context->save_for_backward({gate, up});
    context->saved_data["silu"] = silu;
    return activate(gate, silu ? Activation::kSilu : Activation::kGeluTanh).mul_(up);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& gate = saved[0];
    const torch::Tensor& up = saved[1];
    const bool silu = context->saved_data["silu"].toBool();
    const torch::Tensor& grad = gradients[0];

    torch::Tensor grad_gate;
    torch::Tensor grad_up;
    if (context->needs_input_grad(0)) {
      const torch::Tensor inner = grad * up;
      grad_gate =
          silu ? torch::silu_backward(inner, gate) : torch::gelu_backward(inner, gate, "tanh");
    }
    if (context->needs_input_grad(1)) {
      grad_up = activate(gate, silu ? Activation::kSilu : Activation::kGeluTanh).mul_(grad);
    }
    return {grad_gate, grad_up, torch::Tensor()};
  }
};

} // namespace

torch::Tensor gated_activation(
    const torch::Tensor& gate, const torch::Tensor& up, Activation activation) {
  if (needs_graph(gate, up)) {
    return GatedActivationFunction::apply(gate, up, activation == Activation::kSilu);
  }
  return activate(gate, activation).mul_(up);
}

} // namespace errata
