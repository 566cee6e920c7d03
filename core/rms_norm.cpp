#include "core/rms_norm.h"

#include "core/autograd.h"

namespace errata {
namespace {

struct Normalised {
  torch::Tensor y;
  torch::Tensor inverse; ///< 1 / rms, [..., 1]
};

Normalised normalise(
    const torch::Tensor& x, const torch::Tensor& weight, double eps, bool adds_one) {
  const torch::Dtype wide = statistics_dtype(x.scalar_type());
  const torch::Tensor values = x.to(wide);
  const torch::Tensor inverse = torch::linalg_vector_norm(values, 2, {-1}, true)
                                    .square_()
                                    .div_(static_cast<double>(x.size(-1)))
                                    .add_(eps)
                                    .rsqrt_();
  torch::Tensor y = values * inverse;
  if (adds_one) {
    return {y.mul_(weight.to(wide) + 1.0).to(x.scalar_type()), inverse};
  }
  return {y.to(x.scalar_type()).mul_(weight.to(x.scalar_type())), inverse};
}

// d/dx of x_hat * f is r * (g f - x_hat * mean(g f x_hat)); d/dw is the sum over rows of g x_hat.
class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& x,
      const torch::Tensor& weight,
      double eps,
      bool adds_one) {
    const Normalised result = normalise(x, weight, eps, adds_one);
    context->save_for_backward({x, weight, result.inverse});
    context->saved_data["adds_one"] = adds_one;
    return result.y;
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& x = saved[0];
    const torch::Tensor& weight = saved[1];
    const torch::Tensor& inverse = saved[2];
    const torch::Dtype wide = inverse.scalar_type();
    const torch::Tensor grad = gradients[0].to(wide);
    const torch::Tensor unit = x.to(wide) * inverse;

    torch::Tensor grad_x;
    torch::Tensor grad_weight;
    if (context->needs_input_grad(1)) {
      grad_weight = (grad * unit).reshape({-1, x.size(-1)}).sum(0).to(weight.scalar_type());
    }
    if (context->needs_input_grad(0)) {
      torch::Tensor factor = weight.to(wide);
      if (context->saved_data["adds_one"].toBool()) {
        factor = factor + 1.0;
      }
      const torch::Tensor scaled = grad * factor;
      const torch::Tensor projection = (scaled * unit).mean(-1, true);
      grad_x = scaled.sub_(unit * projection).mul_(inverse).to(x.scalar_type());
    }
    return {grad_x, grad_weight, torch::Tensor(), torch::Tensor()};
  }
};

} // namespace

torch::Tensor rms_norm(
    const torch::Tensor& x, const torch::Tensor& weight, double eps, bool adds_one) {
  if (needs_graph(x, weight)) {
    return RmsNormFunction::apply(x, weight, eps, adds_one);
  }
  return normalise(x, weight, eps, adds_one).y;
}

RmsNormImpl::RmsNormImpl(std::int64_t size, double eps, bool adds_one, torch::TensorOptions options)
    : weight(register_parameter("weight", torch::empty({size}, options))),
      eps_(eps),
      adds_one_(adds_one) {}

} // namespace errata
