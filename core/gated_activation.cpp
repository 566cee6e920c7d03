#include "core/gated_activation.h"

#include "core/autograd.h"
#include "core/kernel_tensors.h"

#include <algorithm>

namespace errata {
namespace {

// Calls `work(begin, count)` on pieces of `n` numbers.
template <typename Work>
void in_pieces(std::int64_t n, const Work& work) {
  constexpr std::int64_t kPiece = 1024;
  parallel_rows((n + kPiece - 1) / kPiece, kPiece, [&](std::int64_t begin, std::int64_t end) {
    work(begin * kPiece, std::min(n, end * kPiece) - begin * kPiece);
  });
}

kernels::Gate kernel_of(Activation activation) {
  return activation == Activation::kSilu ? kernels::Gate::kSilu : kernels::Gate::kGeluTanh;
}

torch::Tensor activate_backward(
    const torch::Tensor& grad, const torch::Tensor& gate, Activation activation) {
  return activation == Activation::kSilu ? torch::silu_backward(grad, gate)
                                         : torch::gelu_backward(grad, gate, "tanh");
}

torch::Tensor gated(const torch::Tensor& gate, const torch::Tensor& up, Activation activation) {
  if (!kernels_take(gate, up)) {
    return activate(gate, activation).mul_(up);
  }
  const torch::Tensor g = gate.contiguous();
  const torch::Tensor u = up.contiguous();
  const torch::Tensor y = torch::empty(g.sizes(), g.options());
  with_kernel_type(g.scalar_type(), [&](auto type) {
    using T = decltype(type);
    in_pieces(g.numel(), [&](std::int64_t begin, std::int64_t count) {
      kernels::gate_forward(
          kernel_of(activation),
          count,
          kernel_data<T>(g) + begin,
          kernel_data<T>(u) + begin,
          kernel_data<T>(y) + begin);
    });
  });
  return y;
}

struct GateGradients {
  torch::Tensor gate;
  torch::Tensor up;
};

GateGradients gated_gradients_in_one_pass(
    const torch::Tensor& gradient,
    const torch::Tensor& gate,
    const torch::Tensor& up,
    Activation activation) {
  const torch::Tensor grad = gradient.contiguous();
  const torch::Tensor g = gate.contiguous();
  const torch::Tensor u = up.contiguous();
  const GateGradients result{
      torch::empty(g.sizes(), g.options()), torch::empty(u.sizes(), u.options())};
  with_kernel_type(g.scalar_type(), [&](auto type) {
    using T = decltype(type);
    in_pieces(g.numel(), [&](std::int64_t begin, std::int64_t count) {
      kernels::gate_backward(
          kernel_of(activation),
          count,
          kernel_data<T>(grad) + begin,
          kernel_data<T>(g) + begin,
          kernel_data<T>(u) + begin,
          kernel_data<T>(result.gate) + begin,
          kernel_data<T>(result.up) + begin);
    });
  });
  return result;
}

class GatedActivationFunction : public torch::autograd::Function<GatedActivationFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& gate,
      const torch::Tensor& up,
      Activation activation) {
    context->save_for_backward({gate, up});
    context->saved_data["silu"] = activation == Activation::kSilu;
    return gated(gate, up, activation);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& gate = saved[0];
    const torch::Tensor& up = saved[1];
    const Activation activation =
        context->saved_data["silu"].toBool() ? Activation::kSilu : Activation::kGeluTanh;
    const torch::Tensor& grad = gradients[0];
    if (kernels_take(gate, up, grad)) {
      const GateGradients found = gated_gradients_in_one_pass(grad, gate, up, activation);
      return {found.gate, found.up, torch::Tensor()};
    }
    torch::Tensor grad_gate;
    torch::Tensor grad_up;
    if (context->needs_input_grad(0)) {
      grad_gate = activate_backward(grad * up, gate, activation);
    }
    if (context->needs_input_grad(1)) {
      grad_up = activate(gate, activation).mul_(grad);
    }
    return {grad_gate, grad_up, torch::Tensor()};
  }
};

} // namespace

torch::Tensor activate(const torch::Tensor& x, Activation activation) {
  return activation == Activation::kSilu ? torch::silu(x) : torch::gelu(x, "tanh");
}

torch::Tensor gated_activation(
    const torch::Tensor& gate, const torch::Tensor& up, Activation activation) {
  if (needs_graph(gate, up)) {
    return GatedActivationFunction::apply(gate, up, activation);
  }
  return gated(gate, up, activation);
}

} // namespace errata
