#include "core/rms_norm.h"

#include "core/autograd.h"
#include "core/kernel_tensors.h"

#include <algorithm>

namespace errata {
namespace {

struct Normalised {
  torch::Tensor y;
  torch::Tensor inverse; ///< 1 / rms, [..., 1]
};

// What the normalised values are multiplied by, in the dtype of the statistics; rounded as they are
// where they are rounded before they meet.
torch::Tensor factor_of(const torch::Tensor& weight, torch::Dtype dtype, bool adds_one) {
  const torch::Dtype wide = statistics_dtype(dtype);
  return adds_one ? weight.to(wide) + 1.0 : weight.to(dtype).to(wide);
}

Normalised normalise_in_one_pass(
    const torch::Tensor& x, const torch::Tensor& weight, double eps, bool adds_one) {
  const std::int64_t n = x.size(-1);
  const torch::Tensor values = x.contiguous();
  const torch::Tensor factor = factor_of(weight, x.scalar_type(), adds_one).contiguous();
  auto sizes = x.sizes().vec();
  Normalised result{torch::empty(sizes, values.options()), {}};
  sizes.back() = 1;
  result.inverse = torch::empty(sizes, factor.options());
  const kernels::NormForward norm{n, static_cast<float>(eps), !adds_one, factor.data_ptr<float>()};
  with_kernel_type(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    parallel_rows(result.inverse.numel(), n, [&](std::int64_t begin, std::int64_t end) {
      kernels::norm_forward(
          norm,
          end - begin,
          kernel_data<T>(values) + begin * n,
          kernel_data<T>(result.y) + begin * n,
          kernel_data<float>(result.inverse) + begin);
    });
  });
  return result;
}

Normalised normalise(
    const torch::Tensor& x, const torch::Tensor& weight, double eps, bool adds_one) {
  if (kernels_take(x) && weight.device().is_cpu()) {
    return normalise_in_one_pass(x, weight, eps, adds_one);
  }
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

struct NormGradients {
  torch::Tensor x;
  torch::Tensor factor; ///< float, [n]
};

// Each thread adds up a part of the factor's gradient, so that it is the same for a number of
// threads.
NormGradients norm_gradients_in_one_pass(
    const torch::Tensor& gradient,
    const torch::Tensor& x,
    const torch::Tensor& factor,
    const torch::Tensor& inverse,
    bool of_x,
    bool of_factor) {
  const std::int64_t n = x.size(-1);
  const std::int64_t rows = inverse.numel();
  const torch::Tensor grad = gradient.contiguous();
  const torch::Tensor values = x.contiguous();
  const std::int64_t parts = of_factor ? at::get_num_threads() : rows;
  const std::int64_t part_rows = of_factor ? (rows + parts - 1) / parts : 1;
  NormGradients result;
  if (of_x) {
    result.x = torch::empty(x.sizes(), values.options());
  }
  if (of_factor) {
    result.factor = torch::zeros({parts, n}, factor.options());
  }
  const kernels::NormBackward norm{n, factor.data_ptr<float>()};
  with_kernel_type(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const auto work = [&](std::int64_t begin, std::int64_t end, float* grad_factor) {
      kernels::norm_backward(
          norm,
          end - begin,
          kernel_data<T>(grad) + begin * n,
          kernel_data<T>(values) + begin * n,
          kernel_data<float>(inverse) + begin,
          of_x ? kernel_data<T>(result.x) + begin * n : nullptr,
          grad_factor);
    };
    parallel_rows(parts, part_rows * n, [&](std::int64_t begin, std::int64_t end) {
      if (!of_factor) {
        work(begin, end, nullptr);
        return;
      }
      for (std::int64_t part = begin; part < end; ++part) {
        const std::int64_t first = std::min(rows, part * part_rows);
        work(first, std::min(rows, first + part_rows), result.factor.data_ptr<float>() + part * n);
      }
    });
  });
  if (of_factor) {
    result.factor = result.factor.sum(0);
  }
  return result;
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
    const bool adds_one = context->saved_data["adds_one"].toBool();
    if (kernels_take(x, gradients[0]) && weight.device().is_cpu()) {
      const torch::Tensor factor = factor_of(weight, torch::kFloat32, adds_one).contiguous();
      NormGradients found = norm_gradients_in_one_pass(
          gradients[0],
          x,
          factor,
          inverse,
          context->needs_input_grad(0),
          context->needs_input_grad(1));
      if (found.factor.defined()) {
        found.factor = found.factor.to(weight.scalar_type());
      }
      return {found.x, found.factor, torch::Tensor(), torch::Tensor()};
    }
    const torch::Dtype wide = inverse.scalar_type();
    const torch::Tensor grad = gradients[0].to(wide);
    const torch::Tensor unit = x.to(wide) * inverse;

    torch::Tensor grad_x;
    torch::Tensor grad_weight;
    if (context->needs_input_grad(1)) {
      grad_weight = (grad * unit).reshape({-1, x.size(-1)}).sum(0).to(weight.scalar_type());
    }
    if (context->needs_input_grad(0)) {
      const torch::Tensor scaled = grad * factor_of(weight, wide, adds_one);
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
    : eps_(eps), adds_one_(adds_one) {
  own_weight(torch::empty({size}, options));
}

} // namespace errata
