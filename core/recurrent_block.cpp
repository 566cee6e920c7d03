#include "core/recurrent_block.h"

#include "core/autograd.h"
#include "core/gated_activation.h"
#include "core/linear_scan.h"

namespace errata {
namespace {

/// Holds parameters under the name that checkpoints give their owner.
class ParametersImpl : public torch::nn::Module {
 public:
  torch::Tensor add(const char* name, at::IntArrayRef sizes, torch::TensorOptions options) {
    return register_parameter(name, torch::empty(sizes, options));
  }
};

// A square root whose slope stays below 1000 (the released code's, for gates near 1).
class BoundedSqrtFunction : public torch::autograd::Function<BoundedSqrtFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x) {
    context->save_for_backward({x});
    return x.sqrt();
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    constexpr double kLeast = 1e-6; // 1 / 1000^2
    return {gradients[0] / (4.0 * context->get_saved_variables()[0]).clamp_min(kLeast).sqrt()};
  }
};

torch::Tensor bounded_sqrt(const torch::Tensor& x) {
  return needs_graph(x) ? BoundedSqrtFunction::apply(x) : x.sqrt();
}

} // namespace

RecurrentBlockImpl::RecurrentBlockImpl(const DecoderConfig& config, torch::TensorOptions options)
    : activation_(config.activation), heads_(config.num_heads) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t lru = config.lru_width;
  const std::int64_t width = lru / heads_;
  const auto linear = [&](const char* name, std::int64_t in, std::int64_t out) {
    Linear made = register_module(name, Linear(in, out, true, options));
    linears_.emplace_back(name, made);
    return made;
  };
  linear_y_ = linear("linear_y", hidden, lru);
  linear_x_ = linear("linear_x", hidden, lru);
  linear_out_ = linear("linear_out", lru, hidden);
  const auto conv = register_module("conv_1d", std::make_shared<ParametersImpl>());
  conv_weight_ = conv->add("weight", {lru, 1, config.conv_width}, options);
  conv_bias_ = conv->add("bias", {lru}, options);
  const auto unit = register_module("rg_lru", std::make_shared<ParametersImpl>());
  recurrent_param_ = unit->add("recurrent_param", {lru}, options);
  input_gate_weight_ = unit->add("input_gate_weight", {heads_, width, width}, options);
  input_gate_bias_ = unit->add("input_gate_bias", {heads_, width}, options);
  recurrent_gate_weight_ = unit->add("recurrent_gate_weight", {heads_, width, width}, options);
  recurrent_gate_bias_ = unit->add("recurrent_gate_bias", {heads_, width}, options);
}

torch::Tensor RecurrentBlockImpl::forward(const torch::Tensor& x, const RecurrentPass& pass) {
  const torch::Tensor y = activate(linear_y_(x), activation_);
  return linear_out_(recur(linear_x_(x), pass) * y);
}

torch::Tensor RecurrentBlockImpl::recur(const torch::Tensor& u, const RecurrentPass& pass) const {
  std::vector<torch::Tensor> parts;
  std::int64_t done = 0;
  for (const LengthGroup& group : pass.groups) {
    const std::int64_t rows = group.count * group.length;
    const torch::Tensor sequences =
        u.narrow(0, group.first_row, rows).view({group.count, group.length, u.size(1)});
    const torch::Tensor begins =
        pass.state != nullptr
            ? pass.begins
            : torch::ones({group.count}, torch::TensorOptions(torch::kBool).device(u.device()));
    RecurrentState* const state = pass.state;
    const torch::Tensor mixed = convolve(sequences, state == nullptr ? nullptr : &state->inputs);
    parts.push_back(
        rg_lru(mixed, begins, state == nullptr ? nullptr : &state->hidden).view({rows, u.size(1)}));
    done = group.first_row + rows;
  }
  if (done < u.size(0)) {
    parts.push_back(torch::zeros({u.size(0) - done, u.size(1)}, u.options()));
  }
  return parts.size() == 1 ? parts.front() : torch::cat(parts);
}

// `u` [sequences, steps, lru]: each channel with the width - 1 inputs before it.
torch::Tensor RecurrentBlockImpl::convolve(const torch::Tensor& u, torch::Tensor* inputs) const {
  const torch::Dtype dtype = u.scalar_type();
  const std::int64_t width = conv_weight_.size(2);
  const torch::Tensor before =
      inputs != nullptr ? *inputs : torch::zeros({u.size(0), width - 1, u.size(2)}, u.options());
  const torch::Tensor all = torch::cat({before, u}, 1);
  if (inputs != nullptr) {
    *inputs = all.narrow(1, all.size(1) - (width - 1), width - 1).contiguous();
  }
  torch::Tensor y = conv_bias_.to(dtype).expand_as(u);
  for (std::int64_t k = 0; k < width; ++k) {
    y = y + all.narrow(1, k, u.size(1)) * conv_weight_.select(2, k).select(1, 0).to(dtype);
  }
  return y;
}

// sigmoid of a block-diagonal product; weights multiply from the right, [in, out].
torch::Tensor RecurrentBlockImpl::gate(
    const torch::Tensor& u, const torch::Tensor& weight, const torch::Tensor& bias) const {
  const torch::Dtype dtype = u.scalar_type();
  const std::int64_t width = weight.size(1);
  const torch::Tensor blocks = u.reshape({-1, heads_, width}).transpose(0, 1);
  return torch::baddbmm(bias.to(dtype).unsqueeze(1), blocks, weight.to(dtype))
      .transpose(0, 1)
      .reshape(u.sizes())
      .sigmoid();
}

torch::Tensor RecurrentBlockImpl::rg_lru(
    const torch::Tensor& u, const torch::Tensor& begins, torch::Tensor* hidden) const {
  const torch::Dtype wide = statistics_dtype(u.scalar_type());
  const torch::Tensor input_gate = gate(u, input_gate_weight_, input_gate_bias_);
  const torch::Tensor recurrence = gate(u, recurrent_gate_weight_, recurrent_gate_bias_).to(wide);
  // a = exp(-8 r softplus(Lambda)); 0 where a sequence begins, and there the input is not damped.
  const torch::Tensor log_a =
      -8.0 * recurrence * torch::nn::functional::softplus(recurrent_param_.to(wide));
  torch::Tensor a = log_a.exp();
  torch::Tensor damping = bounded_sqrt(1.0 - (2.0 * log_a).exp());
  torch::Tensor first = torch::zeros({u.size(0), u.size(1), 1}, begins.options());
  first.select(1, 0).copy_(begins.unsqueeze(1));
  a = a.masked_fill(first, 0.0);
  damping = damping.masked_fill(first, 1.0);
  const torch::Tensor b = (u * input_gate * damping.to(u.scalar_type())).to(wide);
  const torch::Tensor start =
      hidden != nullptr ? hidden->to(wide) : torch::zeros({u.size(0), u.size(2)}, b.options());
  const torch::Tensor h = linear_scan(a, b, start);
  if (hidden != nullptr) {
    *hidden = h.select(1, h.size(1) - 1).contiguous();
  }
  return h.to(u.scalar_type());
}

} // namespace errata
