#pragma once

#include "core/packed_attention_short.h"

namespace errata {

struct BlockAttention {
  torch::Tensor out;               ///< like q
  std::vector<torch::Tensor> kept; ///< probabilities that the backward pass does not compute again
};

/// Attention by products of explicit matrices, sequences of one length and the query heads of one
/// KV head together; long sequences in blocks of queries. `q` [rows, heads, head_dim], `k` and `v`
/// [rows, kv_heads, head_dim], each row a place of `groups`; rows of no group become zero.
BlockAttention attend_blocks(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<LengthGroup>& groups,
    const AttentionShape& shape,
    bool keeps);

/// `kept` is of the forward pass, `grad` the gradient of its result.
AttentionGradients attend_blocks_backward(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<torch::Tensor>& kept,
    const torch::Tensor& grad,
    const std::vector<LengthGroup>& groups,
    const AttentionShape& shape);

} // namespace errata
