#include "core/linear_scan.h"

#include "core/autograd.h"
#include "core/parallel_rows.h"

namespace errata {
namespace {

// h_t = a_t h_{t-1} + b_t; `reversed` runs from the last step to the first.
template <typename T>
void scan_steps(
    const torch::Tensor& a,
    const torch::Tensor& b,
    const torch::Tensor& start,
    bool reversed,
    torch::Tensor& h) {
  const std::int64_t steps = b.size(1);
  const std::int64_t channels = b.size(2);
  const T* const factors = a.data_ptr<T>();
  const T* const inputs = b.data_ptr<T>();
  const T* const starts = start.data_ptr<T>();
  T* const states = h.data_ptr<T>();
  parallel_rows(b.size(0), steps * channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t sequence = begin; sequence < end; ++sequence) {
      const T* before = starts + sequence * channels;
      for (std::int64_t i = 0; i < steps; ++i) {
        const std::int64_t t = reversed ? steps - 1 - i : i;
        const std::int64_t place = (sequence * steps + t) * channels;
        for (std::int64_t j = 0; j < channels; ++j) {
          states[place + j] = factors[place + j] * before[j] + inputs[place + j];
        }
        before = states + place;
      }
    }
  });
}

torch::Tensor scan(
    const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& start, bool reversed) {
  if (!b.is_cpu()) {
    return reversed ? scan_by_doubling(a.flip(1), b.flip(1), start).flip(1)
                    : scan_by_doubling(a, b, start);
  }
  const torch::Tensor factors = a.contiguous();
  const torch::Tensor inputs = b.contiguous();
  const torch::Tensor starts = start.contiguous();
  torch::Tensor h = torch::empty(b.sizes(), inputs.options());
  if (b.scalar_type() == torch::kFloat64) {
    scan_steps<double>(factors, inputs, starts, reversed, h);
  } else {
    scan_steps<float>(factors, inputs, starts, reversed, h);
  }
  return h;
}

// x_{t + by}, with `fill` [sequences, 1, channels] where there is none.
torch::Tensor shifted(const torch::Tensor& x, bool later, const torch::Tensor& fill) {
  const std::int64_t rest = x.size(1) - 1;
  return later ? torch::cat({x.narrow(1, 1, rest), fill}, 1)
               : torch::cat({fill, x.narrow(1, 0, rest)}, 1);
}

// g_t = dL/dh_t in all = grad_t + a_{t+1} g_{t+1}; then db = g and da_t = g_t h_{t-1}.
class LinearScanFunction : public torch::autograd::Function<LinearScanFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& a,
      const torch::Tensor& b,
      const torch::Tensor& start) {
    const torch::Tensor h = scan(a, b, start, false);
    context->save_for_backward({a, start, h});
    return h;
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& a = saved[0];
    const torch::Tensor& start = saved[1];
    const torch::Tensor none = torch::zeros_like(start);
    const torch::Tensor g = scan(shifted(a, true, none.unsqueeze(1)), gradients[0], none, true);
    return {g * shifted(saved[2], false, start.unsqueeze(1)), g, torch::Tensor()};
  }
};

} // namespace

// After the pass of distance d, (a, b) at t spans the last 2 d steps.
torch::Tensor scan_by_doubling(torch::Tensor a, torch::Tensor b, const torch::Tensor& start) {
  const std::int64_t steps = b.size(1);
  for (std::int64_t distance = 1; distance < steps; distance *= 2) {
    const std::int64_t rest = steps - distance;
    const torch::Tensor late = a.narrow(1, distance, rest);
    b = torch::cat(
        {b.narrow(1, 0, distance), b.narrow(1, distance, rest) + late * b.narrow(1, 0, rest)}, 1);
    a = torch::cat({a.narrow(1, 0, distance), late * a.narrow(1, 0, rest)}, 1);
  }
  return b + a * start.unsqueeze(1);
}

torch::Tensor linear_scan(
    const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& start) {
  return needs_graph(a, b) ? LinearScanFunction::apply(a, b, start) : scan(a, b, start, false);
}

} // namespace errata
