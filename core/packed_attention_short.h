#pragma once

#include "core/packed_attention.h"

namespace errata {

/// True when the CPU kernels take these tensors: float32 or bfloat16, and no sequence longer than a
/// processor's cache likes.
bool is_short_attention(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<LengthGroup>& groups);

struct ShortAttention {
  torch::Tensor out;      ///< like q
  torch::Tensor log_sums; ///< float [rows, heads], for the backward pass
};

/// Attention a sequence at a time, on all threads: no scores, masks or layouts in memory. `q`
/// [rows, heads, head_dim], `k` and `v` [rows, kv_heads, head_dim]; rows of no sequence become
/// zero. With `prefixes`, unless null, each sequence's own rows alone are asked for.
ShortAttention short_attention(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<LengthGroup>& groups,
    const SharedPrefixes* prefixes,
    const AttentionShape& shape);

struct AttentionGradients {
  torch::Tensor q;
  torch::Tensor k;
  torch::Tensor v;
};

/// `grad` is the gradient of `out`, in its shape.
AttentionGradients short_attention_backward(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const torch::Tensor& log_sums,
    const torch::Tensor& grad,
    const std::vector<LengthGroup>& groups,
    const SharedPrefixes* prefixes,
    const AttentionShape& shape);

} // namespace errata
