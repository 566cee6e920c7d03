#pragma once

#include "core/attachments.h"
#include "core/decoder_config.h"
#include "core/linear.h"
#include "core/norm.h"
#include "core/packed_batch.h"
#include "core/recurrent_block.h"
#include "core/rope.h"
#include "core/torch.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace errata {

/// Attention of rotated queries [rows, heads * head_dim] over keys and values
/// [rows, kv_heads * head_dim]: packed, or with a cache. The result is [rows, heads * head_dim].
using Attend = std::function<torch::Tensor(
    const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v)>;

/// What a layer needs of the pass that it is part of.
struct LayerPass {
  RopeAngles angles;
  Attend attend;
  RecurrentPass recurrent;
  double dropout = 0.0;      ///< of the output of both branches
  torch::Tensor prefix_rows; ///< rows that stand before the first tokens; undefined: none
  bool continues = false;    ///< the sequences began in earlier passes, whose cache is used
  /// The rows whose result is wanted, int64 [n]; undefined: all. Attention runs in all.
  torch::Tensor wanted = {};
};

/// Linear layers with their paths below a module.
using NamedLinears = std::vector<std::pair<std::string, Linear>>;

/// Projections, norms of queries and keys, and rotation; the attention itself is the caller's.
class SelfAttentionImpl : public torch::nn::Module {
 public:
  SelfAttentionImpl(const DecoderConfig& config, torch::TensorOptions options);

  /// Of `x` [rows, hidden], the wanted rows. Without rotation where the pass has no angles.
  torch::Tensor forward(const torch::Tensor& x, const LayerPass& pass);

  /// Of `x` [rows, hidden]; normed but not rotated.
  Projections project(const torch::Tensor& x);

  const NamedLinears& linears() const { return linears_; }
  AttachmentList<AttentionAttachment>& attachments() { return attachments_; }

 private:
  Projections raw_projections(const torch::Tensor& x);
  torch::Tensor normed(const torch::Tensor& x, const Norm& norm) const;
  torch::Tensor rotated(const torch::Tensor& x, const RopeAngles& angles) const;
  void put_prefixes(Projections& parts, const torch::Tensor& prefix_rows);

  Linear q_proj_{nullptr};
  Linear k_proj_{nullptr};
  Linear v_proj_{nullptr};
  Linear qkv_{nullptr}; ///< instead of the three
  Linear out_{nullptr};
  Norm q_norm_; ///< empty without QK-norm
  Norm k_norm_;
  NamedLinears linears_;
  AttachmentList<AttentionAttachment> attachments_;
  std::int64_t queries_;
  std::int64_t keys_;
  std::int64_t head_dim_;
};
TORCH_MODULE(SelfAttention);

/// `down(activation(gate(x)) * up(x))`, or `down(activation(up(x)))` without a gate.
class MlpImpl : public torch::nn::Module {
 public:
  MlpImpl(const DecoderConfig& config, torch::TensorOptions options);

  torch::Tensor forward(const torch::Tensor& x);

  const NamedLinears& linears() const { return linears_; }

 private:
  Linear gate_{nullptr};
  Linear up_{nullptr};
  Linear down_{nullptr};
  NamedLinears linears_;
  Activation activation_;
};
TORCH_MODULE(Mlp);

/// The two parts of a block that add to the residual stream.
enum class SubLayer { kAttention, kMlp };

/// One block: attention (or a recurrent block) and MLP, each with its norms and a residual
/// connection, one after the other or side by side (`parallel_block`). Under the name
/// `post_attention_layernorm` a checkpoint without sandwich norms keeps the norm before the MLP.
class DecoderLayerImpl : public torch::nn::Module {
 public:
  DecoderLayerImpl(const DecoderConfig& config, std::int64_t index, torch::TensorOptions options);

  /// `x` is [rows, hidden]; the result has the wanted rows.
  torch::Tensor forward(const torch::Tensor& x, const LayerPass& pass);

  /// In checkpoint order.
  NamedLinears linears() const;
  /// Empty where the layer is recurrent.
  const SelfAttention& attention() const { return attention_; }
  AttachmentList<BlockAttachment>& attachments(SubLayer place) {
    return place == SubLayer::kAttention ? attention_attachments_ : mlp_attachments_;
  }

 private:
  std::string attention_name_;
  std::string mlp_name_;
  SelfAttention attention_{nullptr}; ///< or
  RecurrentBlock recurrent_{nullptr};
  Mlp mlp_{nullptr};
  Norm input_norm_;
  Norm attention_out_norm_; ///< with sandwich norms only
  Norm mlp_norm_;           ///< empty in a parallel block
  Norm mlp_out_norm_;       ///< with sandwich norms only
  AttachmentList<BlockAttachment> attention_attachments_;
  AttachmentList<BlockAttachment> mlp_attachments_;
};
TORCH_MODULE(DecoderLayer);

} // namespace errata
