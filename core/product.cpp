#include "core/product.h"

#include "core/autograd.h"

namespace errata {
namespace {

// Fewer rows read the weight once and have nothing to gain.
constexpr std::int64_t kLeastRows = 16;

using PointwiseLinear = at::Tensor(
    const at::Tensor& x,
    const at::Tensor& weight,
    const std::optional<at::Tensor>& bias,
    c10::string_view activation,
    c10::List<std::optional<at::Scalar>> scalars,
    std::optional<c10::string_view> algorithm);

// LibTorch offers oneDNN's float32 product as a part of its compiler's operators only. Empty where
// it was built without.
std::optional<c10::OperatorHandle> pointwise_linear() {
  return c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
}

bool is_amd_with_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_is("amd") != 0 && __builtin_cpu_supports("avx512f") != 0;
#else
  return false;
#endif
}

bool takes_float32() {
  static const bool takes = is_amd_with_avx512() && pointwise_linear().has_value();
  return takes;
}

torch::Tensor multiplied(
    const torch::Tensor& x,
    const torch::Tensor& weight,
    const std::optional<torch::Tensor>& bias = std::nullopt) {
  static const auto linear = pointwise_linear()->typed<PointwiseLinear>();
  return linear.call(x, weight, bias, "none", c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

class ProductFunction : public torch::autograd::Function<ProductFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& x,
      const torch::Tensor& weight,
      const std::optional<torch::Tensor>& bias) {
    context->saved_data["biased"] = bias.has_value(); // without there is no edge to ask about
    context->save_for_backward({weight, weight.requires_grad() ? x : torch::Tensor()});
    return multiplied(x, weight, bias);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& grad = gradients[0];
    const torch::Tensor rows = grad.reshape({-1, grad.size(-1)});
    torch::Tensor grad_x;
    torch::Tensor grad_weight;
    torch::Tensor grad_bias;
    if (context->needs_input_grad(0)) {
      grad_x = multiplied(grad, saved[0].t());
    }
    if (context->needs_input_grad(1)) {
      grad_weight = torch::mm(rows.t(), saved[1].reshape({-1, saved[1].size(-1)}));
    }
    if (context->saved_data["biased"].toBool() && context->needs_input_grad(2)) {
      grad_bias = rows.sum(0);
    }
    return {grad_x, grad_weight, grad_bias};
  }
};

} // namespace

bool compiles_products(const torch::Device& device, torch::Dtype dtype) {
  return device.is_cpu() &&
         (dtype == torch::kBFloat16 || (dtype == torch::kFloat32 && takes_float32()));
}

torch::Tensor product(
    const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) {
  const bool ours = x.device().is_cpu() && x.scalar_type() == torch::kFloat32 &&
                    weight.scalar_type() == torch::kFloat32 && takes_float32() &&
                    x.numel() >= kLeastRows * x.size(-1);
  if (!ours) {
    return torch::linear(x, weight, bias);
  }
  const auto added = bias.defined() ? std::optional(bias) : std::nullopt;
  return needs_graph(x, weight, bias) ? ProductFunction::apply(x, weight, added)
                                      : multiplied(x, weight, added);
}

} // namespace errata
