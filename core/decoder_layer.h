#pragma once

#include "core/decoder_config.h"
#include "core/linear.h"
#include "core/packed_batch.h"
#include "core/rms_norm.h"
#include "core/rope.h"
#include "core/torch.h"

#include <functional>

namespace errata {

/// Attention of rotated queries [rows, heads * head_dim] over keys and values
/// [rows, kv_heads * head_dim]: packed, or with a cache. The result is [rows, heads * head_dim].
using Attend = std::function<torch::Tensor(
    const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v)>;

/// Projections, norms of queries and keys, and rotation; the attention itself is the caller's.
class SelfAttentionImpl : public torch::nn::Module {
 public:
  SelfAttentionImpl(const DecoderConfig& config, torch::TensorOptions options);

  torch::Tensor forward(const torch::Tensor& x, const RopeAngles& angles, const Attend& attend);

  Linear q_proj{nullptr};
  Linear k_proj{nullptr};
  Linear v_proj{nullptr};
  Linear o_proj{nullptr};
  RmsNorm q_norm{nullptr}; ///< empty without QK-norm
  RmsNorm k_norm{nullptr};

 private:
  std::int64_t head_dim_;
};
TORCH_MODULE(SelfAttention);

/// `down(activation(gate(x)) * up(x))`.
class GatedMlpImpl : public torch::nn::Module {
 public:
  GatedMlpImpl(const DecoderConfig& config, torch::TensorOptions options);

  torch::Tensor forward(const torch::Tensor& x);

  Linear gate_proj{nullptr};
  Linear up_proj{nullptr};
  Linear down_proj{nullptr};

 private:
  Activation activation_;
};
TORCH_MODULE(GatedMlp);

/// One block: attention and MLP, each with its norms and a residual connection. Under the name
/// `post_attention_layernorm` a checkpoint without sandwich norms keeps the norm before the MLP.
class DecoderLayerImpl : public torch::nn::Module {
 public:
  DecoderLayerImpl(const DecoderConfig& config, torch::TensorOptions options);

  /// `x` is [rows, hidden]; `dropout` applies to the output of both branches.
  torch::Tensor forward(
      const torch::Tensor& x, const RopeAngles& angles, const Attend& attend, double dropout);

  SelfAttention self_attn{nullptr};
  GatedMlp mlp{nullptr};
  RmsNorm input_layernorm{nullptr};
  RmsNorm post_attention_layernorm{nullptr};
  RmsNorm pre_feedforward_layernorm{nullptr};  ///< with sandwich norms only
  RmsNorm post_feedforward_layernorm{nullptr}; ///< with sandwich norms only
};
TORCH_MODULE(DecoderLayer);

} // namespace errata
