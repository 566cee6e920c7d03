#include "peft/lora_function.h"

#include "core/autograd.h"

namespace errata::peft {
namespace {

torch::Tensor rows(const torch::Tensor& tensor) {
  return tensor.reshape({-1, tensor.size(-1)});
}

// `x w^T` for `x` [rows, n] and `w` [r, n]. Matrices of less than 16 columns are slow to make, most
// of all in float32, where MKL takes twice as long for 8 as for 16: their transpose is made
// instead.
torch::Tensor narrow_product(const torch::Tensor& x, const torch::Tensor& w) {
  constexpr std::int64_t kNarrow = 16;
  return w.size(0) < kNarrow ? torch::mm(w, x.t()).t() : torch::mm(x, w.t());
}

// Keeps each entry with probability 1 - p and scales what is left, so that the mean stays.
torch::Tensor dropout_mask(const torch::Tensor& x, double p) {
  return torch::empty_like(x).bernoulli_(1.0 - p).div_(1.0 - p);
}

class LoraFunction : public torch::autograd::Function<LoraFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& x,
      const torch::Tensor& y,
      const torch::Tensor& a,
      const torch::Tensor& b,
      double scale,
      double dropout) {
    const bool trained = a.requires_grad() || b.requires_grad();
    const torch::Tensor a_cast = a.to(x.scalar_type());
    const torch::Tensor b_cast = b.to(x.scalar_type());
    torch::Tensor input = rows(x);
    torch::Tensor mask;
    if (trained && dropout > 0) {
      mask = dropout_mask(input, dropout);
      input = input * mask;
    }
    const torch::Tensor inner = narrow_product(input, a_cast);
    const torch::Tensor result = torch::addmm(rows(y), inner, b_cast.t(), 1.0, scale);
    context->save_for_backward(
        {a.requires_grad() ? input : torch::Tensor(),
         b.requires_grad() ? inner : torch::Tensor(),
         a_cast,
         b_cast,
         x.requires_grad() ? mask : torch::Tensor()});
    context->saved_data["scale"] = scale;
    // A view could not become the gradient in place, which the loss makes of logits.
    return result.dim() == y.dim() ? result : result.view(y.sizes());
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& input = saved[0];
    const torch::Tensor& inner = saved[1];
    const torch::Tensor& a = saved[2];
    const torch::Tensor& b = saved[3];
    const torch::Tensor& mask = saved[4];
    const double scale = context->saved_data["scale"].toDouble();
    const torch::Tensor grad_y = gradients[0];
    const torch::Tensor grad = rows(grad_y);

    torch::Tensor grad_x;
    torch::Tensor grad_a;
    torch::Tensor grad_b;
    if (context->needs_input_grad(0) || context->needs_input_grad(2)) {
      const torch::Tensor grad_inner = narrow_product(grad, b.t()).mul_(scale);
      if (context->needs_input_grad(2)) {
        grad_a = torch::mm(grad_inner.t(), input).to(statistics_dtype(grad.scalar_type()));
      }
      if (context->needs_input_grad(0)) {
        grad_x = torch::mm(grad_inner, a);
        if (mask.defined()) {
          grad_x.mul_(mask);
        }
        auto sizes = grad_y.sizes().vec();
        sizes.back() = a.size(1);
        grad_x = grad_x.view(sizes);
      }
    }
    if (context->needs_input_grad(3)) {
      grad_b =
          narrow_product(grad.t(), inner.t()).to(statistics_dtype(grad.scalar_type())).mul_(scale);
    }
    return {grad_x, grad_y, grad_a, grad_b, torch::Tensor(), torch::Tensor()};
  }
};

} // namespace

torch::Tensor lora_forward(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const torch::Tensor& a,
    const torch::Tensor& b,
    double scale,
    double dropout) {
  if (torch::GradMode::is_enabled()) {
    return LoraFunction::apply(x, y, a, b, scale, dropout);
  }
  const torch::Tensor inner = narrow_product(rows(x), a.to(x.scalar_type()));
  // `rows` of a contiguous tensor is a view, so this writes into y itself.
  torch::Tensor result = rows(y);
  result.addmm_(inner, b.to(x.scalar_type()).t(), 1.0, scale);
  return result.view(y.sizes());
}

torch::Tensor table_lora_forward(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const torch::Tensor& a,
    const torch::Tensor& b,
    double scale) {
  const torch::Dtype dtype = y.scalar_type();
  const torch::Tensor inner = a.index_select(1, x).t().to(dtype);
  return torch::addmm(y, inner, b.to(dtype).t(), 1.0, scale);
}

} // namespace errata::peft
