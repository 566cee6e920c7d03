#include "core/rope.h"

#include "core/autograd.h"
#include "core/kernel_tensors.h"

#include <algorithm>

namespace errata {
namespace {

torch::Tensor rotated_in_one_pass(
    const torch::Tensor& x, const torch::Tensor& cos, const torch::Tensor& sin, bool opposite) {
  const torch::Tensor values = x.contiguous();
  const torch::Tensor c = cos.contiguous();
  const torch::Tensor s = sin.contiguous();
  const torch::Tensor y = torch::empty(x.sizes(), values.options());
  const kernels::Rotation rotation{x.size(1), x.size(2) / 2, opposite};
  const std::int64_t width = x.size(1) * x.size(2);
  with_kernel_type(x.scalar_type(), [&](auto type) {
    using T = decltype(type);
    parallel_rows(x.size(0), width, [&](std::int64_t begin, std::int64_t end) {
      kernels::rotate(
          rotation,
          end - begin,
          kernel_data<T>(values) + begin * width,
          kernel_data<T>(c) + begin * rotation.half,
          kernel_data<T>(s) + begin * rotation.half,
          kernel_data<T>(y) + begin * width);
    });
  });
  return y;
}

torch::Tensor rotated(
    const torch::Tensor& x, const torch::Tensor& cos, const torch::Tensor& sin, bool opposite) {
  if (kernels_take(x, cos, sin)) {
    return rotated_in_one_pass(x, cos, sin, opposite);
  }
  const std::int64_t half = x.size(-1) / 2;
  const torch::Tensor c = cos.unsqueeze(1);
  const torch::Tensor s = (opposite ? -sin : sin).unsqueeze(1);
  const torch::Tensor first = x.narrow(-1, 0, half);
  const torch::Tensor second = x.narrow(-1, half, half);
  torch::Tensor y = torch::empty(x.sizes(), x.options());
  torch::Tensor y_first = y.narrow(-1, 0, half);
  torch::Tensor y_second = y.narrow(-1, half, half);
  torch::mul_out(y_first, first, c);
  y_first.addcmul_(second, s, -1);
  torch::mul_out(y_second, second, c);
  y_second.addcmul_(first, s);
  return y;
}

// A rotation's transpose is the rotation by the opposite angle.
class RotateFunction : public torch::autograd::Function<RotateFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& x,
      const torch::Tensor& cos,
      const torch::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return rotated(x, cos, sin, false);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {rotated(gradients[0], saved[0], saved[1], true), torch::Tensor(), torch::Tensor()};
  }
};

} // namespace

RopeTable::RopeTable(RopeConfig config, std::int64_t head_dim)
    : config_(config),
      dims_(config.rotary_dim > 0 ? config.rotary_dim : head_dim),
      extending_(std::make_unique<std::mutex>()) {}

void RopeTable::extend(std::int64_t limit, torch::Dtype dtype, torch::Device device) {
  const torch::NoGradGuard no_grad;
  constexpr std::int64_t kLeast = 512;
  std::int64_t size = kLeast;
  while (size < limit) {
    size *= 2;
  }
  const torch::Dtype wide = statistics_dtype(dtype);
  const auto options = torch::TensorOptions().dtype(wide);
  const torch::Tensor angle =
      torch::outer(torch::arange(size, options), rope_frequencies(config_, dims_, wide));
  const double scale = config_.yarn ? config_.yarn->attention_factor : 1.0;
  table_.cos = angle.cos().mul_(scale).to(device, dtype);
  table_.sin = angle.sin().mul_(scale).to(device, dtype);
}

// Each row with the base that its sequence's length has.
RopeAngles RopeTable::dynamic_angles(
    const torch::Tensor& positions, const torch::Tensor& lengths, torch::Dtype dtype) const {
  const torch::NoGradGuard no_grad;
  const torch::Dtype wide = statistics_dtype(dtype);
  const auto original = static_cast<double>(config_.dynamic->original_positions);
  const auto dims = static_cast<double>(dims_);
  const torch::Tensor stretch =
      lengths.to(wide).clamp_min(original) * (config_.factor / original) - (config_.factor - 1.0);
  const torch::Tensor base = stretch.pow(dims / (dims - 2.0)).mul_(config_.base).unsqueeze(1);
  const torch::Tensor exponents =
      torch::arange(0, dims_, 2, base.options()).div_(dims).unsqueeze(0);
  const torch::Tensor angle =
      positions.to(wide).unsqueeze(1) * torch::pow(base, exponents).reciprocal_();
  return {angle.cos().to(dtype), angle.sin().to(dtype), config_.interleaved};
}

RopeAngles RopeTable::angles(
    const torch::Tensor& positions,
    const torch::Tensor& lengths,
    std::int64_t limit,
    torch::Dtype dtype) {
  if (config_.dynamic && limit > config_.dynamic->original_positions) {
    return dynamic_angles(positions, lengths, dtype);
  }
  const std::lock_guard<std::mutex> lock(*extending_);
  const bool usable = table_.cos.defined() && table_.cos.size(0) >= limit &&
                      table_.cos.scalar_type() == dtype &&
                      table_.cos.device() == positions.device();
  if (!usable) {
    extend(limit, dtype, positions.device());
  }
  return {
      table_.cos.index_select(0, positions),
      table_.sin.index_select(0, positions),
      config_.interleaved};
}

torch::Tensor rotate(const torch::Tensor& x, const RopeAngles& angles) {
  const std::int64_t turning = 2 * angles.cos.size(1);
  const std::int64_t still = x.size(-1) - turning;
  torch::Tensor part = still == 0 ? x : x.narrow(-1, 0, turning).contiguous();
  if (angles.interleaved) { // neighbours become the two halves, and back
    part = part.unflatten(-1, {turning / 2, 2}).transpose(-1, -2).flatten(-2).contiguous();
  }
  torch::Tensor y = needs_graph(part) ? RotateFunction::apply(part, angles.cos, angles.sin)
                                      : rotated(part, angles.cos, angles.sin, false);
  if (angles.interleaved) {
    y = y.unflatten(-1, {2, turning / 2}).transpose(-1, -2).flatten(-2);
  }
  return still == 0 ? y.contiguous() : torch::cat({y, x.narrow(-1, turning, still)}, -1);
}

} // namespace errata
