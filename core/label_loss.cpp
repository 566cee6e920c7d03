#include "core/label_loss.h"

#include "core/autograd.h"

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

torch::Tensor float_logits(Decoder& model, const torch::Tensor& hidden) {
  const torch::Tensor logits = model->logits(hidden);
  return logits.to(statistics_dtype(logits.scalar_type()));
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
    std::int64_t chunk_logits) {
  const std::int64_t rows = hidden.size(0);
  const std::int64_t held = base.defined() ? base.size(0) : 0;
  const std::int64_t chunk = std::max<std::int64_t>(
      16, chunk_logits / std::max<std::int64_t>(1, model->config().vocab_size));
  const torch::Tensor states = hidden.detach();
  LabelLoss total;
  std::vector<torch::Tensor> gradients;
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const std::int64_t count = std::min(chunk, rows - first);
    const std::int64_t kl_count = std::clamp<std::int64_t>(held - first, 0, count);
    torch::Tensor base_logits;
    if (kl_count > 0) {
      const torch::NoGradGuard no_grad;
      base_logits = float_logits(model, base.narrow(0, first, kl_count));
    }
    const torch::Tensor leaf = states.narrow(0, first, count).detach().requires_grad_();
    const torch::Tensor logits = float_logits(model, leaf);
    // The output layer's backward needs its input only, so its output may become the gradient.
    const torch::Tensor buffer = logits.detach();
    const LabelLoss part = label_loss_(
        buffer,
        base_logits,
        targets.labels.narrow(0, first, count),
        targets.weights.narrow(0, first, count),
        kl_count > 0 ? targets.kl_weights.narrow(0, first, kl_count) : torch::Tensor());
    logits.backward(buffer);
    gradients.push_back(leaf.grad());
    total.cross_entropy = total.cross_entropy.defined() ? total.cross_entropy + part.cross_entropy
                                                        : part.cross_entropy;
    total.kl = total.kl.defined() ? total.kl + part.kl : part.kl;
  }
  gradient = gradients.size() == 1 ? gradients.front() : torch::cat(gradients);
  return total;
}

} // namespace errata
