#pragma once

#include "core/decoder.h"
#include "core/gradient_sink.h"
#include "core/torch.h"

namespace errata {

/// What a forward pass is judged by. Rows that are also held to the base (KL) come first.
struct LabelTargets {
  torch::Tensor rows;       ///< int64 [n]: rows of the pass that predict a label
  torch::Tensor labels;     ///< int64 [n]: the token each of them should predict
  torch::Tensor weights;    ///< [n]: of the cross-entropy of each row
  torch::Tensor kl_weights; ///< [m], m <= n: of KL(base || model) at the first m rows
};

/// Sums over rows, each times its weight; float64 scalars on the device of the logits.
struct LabelLoss {
  torch::Tensor cross_entropy;
  torch::Tensor kl;
};

/// The loss at `logits` [n, vocab], which are overwritten with its gradient: softmax minus one-hot,
/// times the weight, plus kl_weight * (softmax - base softmax) at the first `base.size(0)` rows.
/// `base` [m, vocab] holds the base's logits and is overwritten too; undefined for none.
LabelLoss label_loss_(
    torch::Tensor logits,
    torch::Tensor base,
    const torch::Tensor& labels,
    const torch::Tensor& weights,
    const torch::Tensor& kl_weights);

/// Logits that exist at once in a pass.
constexpr std::int64_t kChunkLogits = std::int64_t{1} << 24;

/// The label loss behind the output layer, at label rows only. The output layer runs forward and
/// backward over a few rows at a time, so that no more than `chunk_logits` logits exist at once
/// however long the batch is; gradients of a trained output layer go to `sink` on the way.
///
/// `hidden` [n, hidden] are the states at the label rows, `base` [m, hidden] those of the base at
/// the first m, which go through the output layer without what is attached to it. Returns the loss
/// and stores its gradient towards `hidden` in `gradient`.
LabelLoss output_layer_loss(
    Decoder& model,
    const torch::Tensor& hidden,
    const torch::Tensor& base,
    const LabelTargets& targets,
    torch::Tensor& gradient,
    GradientSink& sink,
    std::int64_t chunk_logits = kChunkLogits);

} // namespace errata
