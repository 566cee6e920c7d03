#include "core/label_loss.h"

#include "core/autograd.h"
#include "core/kernel_tensors.h"

#include <algorithm>

namespace errata {
namespace {

torch::Tensor weighted_sum(const torch::Tensor& values, const torch::Tensor& weights) {
  return (values * weights).sum(torch::kFloat64);
}

// KL(base || model) from log-probabilities, row by row: sum_v p_base (log p_base - log p).
torch::Tensor kl_rows(const torch::Tensor& log_base, const torch::Tensor& log_model) {
  return (log_base.exp() * (log_base - log_model)).sum(1);
}

torch::Tensor base_float_logits(const Decoder& model, const torch::Tensor& hidden) {
  const torch::Tensor logits = model->base_logits(hidden);
  return logits.to(statistics_dtype(logits.scalar_type()));
}

// `label_loss_` without KL in one pass over the logits, in their own dtype.
LabelLoss label_loss_in_one_pass(
    const torch::Tensor& logits, const torch::Tensor& labels, const torch::Tensor& weights) {
  const std::int64_t n = logits.size(1);
  const torch::Tensor ids = labels.contiguous();
  const torch::Tensor factors = weights.to(torch::kFloat32).contiguous();
  const torch::Tensor losses = torch::empty({logits.size(0)}, factors.options());
  with_kernel_type(logits.scalar_type(), [&](auto type) {
    using T = decltype(type);
    parallel_rows(logits.size(0), n, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> scratch(static_cast<std::size_t>(n));
      kernels::label_gradient(
          {n, ids.data_ptr<std::int64_t>() + begin, factors.data_ptr<float>() + begin},
          end - begin,
          kernel_data<T>(logits) + begin * n,
          losses.data_ptr<float>() + begin,
          scratch.data());
    });
  });
  const torch::Tensor sum = weighted_sum(losses, factors);
  return {sum, torch::zeros_like(sum)};
}

} // namespace

LabelLoss label_loss_(
    torch::Tensor logits,
    torch::Tensor base,
    const torch::Tensor& labels,
    const torch::Tensor& weights,
    const torch::Tensor& kl_weights) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor index = labels.unsqueeze(1);
  torch::log_softmax_out(logits, logits, 1);
  LabelLoss loss;
  loss.cross_entropy = weighted_sum(-logits.gather(1, index).squeeze(1), weights);
  loss.kl = torch::zeros_like(loss.cross_entropy);
  torch::Tensor scale = weights;
  const std::int64_t held = base.defined() ? base.size(0) : 0;
  if (held > 0) {
    torch::log_softmax_out(base, base, 1);
    loss.kl = weighted_sum(kl_rows(base, logits.narrow(0, 0, held)), kl_weights);
    scale = weights.clone();
    scale.narrow(0, 0, held).add_(kl_weights);
  }
  // d/dz = (w + w_kl) softmax - w one_hot - w_kl softmax_base
  logits.exp_().mul_(scale.unsqueeze(1));
  logits.scatter_add_(1, index, -weights.to(logits.scalar_type()).unsqueeze(1));
  if (held > 0) {
    logits.narrow(0, 0, held).sub_(base.exp_().mul_(kl_weights.unsqueeze(1)));
  }
  return loss;
}

LabelLoss output_layer_loss(
    Decoder& model,
    const torch::Tensor& hidden,
    const torch::Tensor& base,
    const LabelTargets& targets,
    torch::Tensor& gradient,
    GradientSink& sink,
    std::int64_t chunk_logits) {
  const std::int64_t rows = hidden.size(0);
  const std::int64_t held = base.defined() ? base.size(0) : 0;
  const std::int64_t chunk = std::max<std::int64_t>(
      16, chunk_logits / std::max<std::int64_t>(1, model->config().vocab_size));
  const torch::Tensor states = hidden.detach();
  LabelLoss total;
  std::vector<torch::Tensor> gradients;
  std::int64_t count = 0;
  for (std::int64_t first = 0; first < rows; first += count) {
    // Rows held to the base apart from the others, which take one pass.
    count = std::min(chunk, (first < held ? held : rows) - first);
    const std::int64_t kl_count = first < held ? count : 0;
    torch::Tensor base_logits;
    if (kl_count > 0) {
      const torch::NoGradGuard no_grad;
      base_logits = base_float_logits(model, base.narrow(0, first, kl_count));
    }
    const torch::Tensor leaf = states.narrow(0, first, count).detach().requires_grad_();
    const torch::Tensor own = model->logits(leaf);
    const bool one_pass = kl_count == 0 && own.is_contiguous() && kernels_take(own);
    const torch::Tensor logits = one_pass ? own : own.to(statistics_dtype(own.scalar_type()));
    // The output layer's backward needs its input only, so its output may become the gradient.
    const torch::Tensor buffer = logits.detach();
    const torch::Tensor labels = targets.labels.narrow(0, first, count);
    const torch::Tensor weights = targets.weights.narrow(0, first, count);
    const LabelLoss part =
        one_pass
            ? label_loss_in_one_pass(buffer, labels, weights)
            : label_loss_(
                  buffer,
                  base_logits,
                  labels,
                  weights,
                  kl_count > 0 ? targets.kl_weights.narrow(0, first, kl_count) : torch::Tensor());
    gradients.push_back(sink.backward(logits, buffer, leaf));
    total.cross_entropy = total.cross_entropy.defined() ? total.cross_entropy + part.cross_entropy
                                                        : part.cross_entropy;
    total.kl = total.kl.defined() ? total.kl + part.kl : part.kl;
  }
  gradient = gradients.size() == 1 ? gradients.front() : torch::cat(gradients);
  return total;
}

} // namespace errata
