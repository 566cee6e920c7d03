#include "core/packed_attention_blocks.h"

#include <algorithm>
#include <limits>

namespace errata {
namespace {

// Longest run of queries whose probabilities are kept for the backward pass.
constexpr std::int64_t kQueryBlock = 256;
// Scores of one block of work.
constexpr std::int64_t kBlockScores = std::int64_t{1} << 24;

/// Queries [begin, end) of `count` sequences of one length, and the keys [first_key, end) they see.
struct Block {
  std::int64_t first_row;
  std::int64_t count;
  std::int64_t length;
  std::int64_t begin;
  std::int64_t end;
  std::int64_t first_key;

  bool whole() const { return begin == 0 && end == length; }
};

std::vector<Block> plan_blocks(
    const std::vector<LengthGroup>& groups, const AttentionShape& shape) {
  std::vector<Block> blocks;
  for (const LengthGroup& group : groups) {
    const std::int64_t queries = std::min(group.length, kQueryBlock);
    const std::int64_t most =
        std::max<std::int64_t>(1, kBlockScores / (shape.heads * queries * group.length));
    for (std::int64_t done = 0; done < group.count; done += most) {
      for (std::int64_t begin = 0; begin < group.length; begin += kQueryBlock) {
        Block block;
        block.first_row = group.first_row + done * group.length;
        block.count = std::min(most, group.count - done);
        block.length = group.length;
        block.begin = begin;
        block.end = std::min(group.length, begin + kQueryBlock);
        block.first_key =
            shape.window > 0 ? std::max<std::int64_t>(0, begin - shape.window + 1) : 0;
        blocks.push_back(block);
      }
    }
  }
  return blocks;
}

// Rows [from, to) of each sequence of the block, as [count, to - from, heads, head_dim].
torch::Tensor block_rows(
    const torch::Tensor& x, const Block& block, std::int64_t from, std::int64_t to) {
  return x.narrow(0, block.first_row, block.count * block.length)
      .view({block.count, block.length, x.size(1), x.size(2)})
      .narrow(1, from, to - from);
}

torch::Tensor query_rows(const torch::Tensor& x, const Block& block) {
  return block_rows(x, block, block.begin, block.end);
}

torch::Tensor key_rows(const torch::Tensor& x, const Block& block) {
  return block_rows(x, block, block.first_key, block.end);
}

/// Views and layouts of one block: `n` is count * kv_heads, the batch of the products.
class BlockLayout {
 public:
  BlockLayout(const Block& block, const AttentionShape& shape)
      : count_(block.count),
        queries_(block.end - block.begin),
        keys_(block.end - block.first_key),
        kv_heads_(shape.kv_heads),
        share_(shape.heads / shape.kv_heads),
        head_dim_(shape.head_dim) {}

  /// [count, queries, heads, head_dim] -> [n, share * queries, head_dim]
  torch::Tensor fold_queries(const torch::Tensor& x) const {
    return x.reshape({count_, queries_, kv_heads_, share_, head_dim_})
        .permute({0, 2, 3, 1, 4})
        .reshape({count_ * kv_heads_, share_ * queries_, head_dim_});
  }
  /// The inverse view of `fold_queries`' result: [count, queries, heads, head_dim].
  torch::Tensor unfold_queries(const torch::Tensor& x) const {
    return x.view({count_, kv_heads_, share_, queries_, head_dim_})
        .permute({0, 3, 1, 2, 4})
        .reshape({count_, queries_, kv_heads_ * share_, head_dim_});
  }
  /// [count, keys, kv_heads, head_dim] -> [n, keys, head_dim]
  torch::Tensor fold_keys(const torch::Tensor& x) const {
    return x.permute({0, 2, 1, 3}).reshape({count_ * kv_heads_, keys_, head_dim_});
  }
  torch::Tensor unfold_keys(const torch::Tensor& x) const {
    return x.view({count_, kv_heads_, keys_, head_dim_}).permute({0, 2, 1, 3});
  }

  std::int64_t share() const { return share_; }

 private:
  std::int64_t count_;
  std::int64_t queries_;
  std::int64_t keys_;
  std::int64_t kv_heads_;
  std::int64_t share_;
  std::int64_t head_dim_;
};

// 0 where query i may see key j, minus infinity elsewhere: [queries, keys].
torch::Tensor block_mask(
    const Block& block, std::int64_t window, const torch::TensorOptions& like) {
  const auto options = torch::TensorOptions().dtype(torch::kInt64).device(like.device());
  const torch::Tensor distance = torch::arange(block.begin, block.end, options).unsqueeze(1) -
                                 torch::arange(block.first_key, block.end, options).unsqueeze(0);
  torch::Tensor hidden = distance < 0;
  if (window > 0) {
    hidden.logical_or_(distance >= window);
  }
  return torch::zeros(distance.sizes(), like)
      .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

// [n, share * queries, keys], and with a cap the scores that it made.
struct Scores {
  torch::Tensor probabilities;
  torch::Tensor capped;
};

// Softmax sums in float32 whatever the dtype.
Scores score_keys(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const Block& block,
    std::int64_t share,
    const AttentionShape& shape) {
  const torch::Tensor mask = block_mask(block, shape.window, q.options()).repeat({share, 1});
  if (shape.softcap == 0) {
    return {torch::softmax(torch::baddbmm(mask, q, k.transpose(1, 2), 1.0, shape.scale), -1), {}};
  }
  torch::Tensor scores = torch::bmm(q, k.transpose(1, 2)).mul_(shape.scale);
  cap_scores_(scores, shape);
  return {torch::softmax(scores + mask, -1), scores};
}

// Whether the forward pass keeps a block's probabilities for the backward pass.
bool is_kept(const Block& block, const AttentionShape& shape) {
  return block.whole() && shape.softcap == 0;
}

} // namespace

void cap_scores_(torch::Tensor& scores, const AttentionShape& shape) {
  if (shape.softcap > 0) {
    scores.div_(shape.softcap).tanh_().mul_(shape.softcap);
  }
}

BlockAttention attend_blocks(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<LengthGroup>& groups,
    const AttentionShape& shape,
    bool keeps) {
  BlockAttention result;
  result.out = torch::zeros(q.sizes(), q.options());
  for (const Block& block : plan_blocks(groups, shape)) {
    const BlockLayout layout(block, shape);
    const torch::Tensor weights = score_keys(
                                      layout.fold_queries(query_rows(q, block)),
                                      layout.fold_keys(key_rows(k, block)),
                                      block,
                                      layout.share(),
                                      shape)
                                      .probabilities;
    const torch::Tensor mixed = torch::bmm(weights, layout.fold_keys(key_rows(v, block)));
    query_rows(result.out, block).copy_(layout.unfold_queries(mixed));
    if (keeps && is_kept(block, shape)) {
      result.kept.push_back(weights);
    }
  }
  return result;
}

AttentionGradients attend_blocks_backward(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<torch::Tensor>& kept,
    const torch::Tensor& grad,
    const std::vector<LengthGroup>& groups,
    const AttentionShape& shape) {
  torch::Tensor grad_q = torch::zeros(q.sizes(), q.options());
  torch::Tensor grad_k = torch::zeros(k.sizes(), k.options());
  torch::Tensor grad_v = torch::zeros(v.sizes(), v.options());
  std::size_t next_kept = 0;
  for (const Block& block : plan_blocks(groups, shape)) {
    const BlockLayout layout(block, shape);
    const torch::Tensor query = layout.fold_queries(query_rows(q, block));
    const torch::Tensor key = layout.fold_keys(key_rows(k, block));
    const torch::Tensor value = layout.fold_keys(key_rows(v, block));
    const torch::Tensor out = layout.fold_queries(query_rows(grad, block));
    const Scores scores = is_kept(block, shape)
                              ? Scores{kept[next_kept++], {}}
                              : score_keys(query, key, block, layout.share(), shape);
    const torch::Tensor& weights = scores.probabilities;
    key_rows(grad_v, block).add_(layout.unfold_keys(torch::bmm(weights.transpose(1, 2), out)));
    const torch::Tensor grad_scores = torch::_softmax_backward_data(
        torch::bmm(out, value.transpose(1, 2)), weights, -1, weights.scalar_type());
    if (shape.softcap > 0) { // d/ds of c tanh(s / c)
      grad_scores.mul_(1.0 - (scores.capped / shape.softcap).square_());
    }
    grad_scores.mul_(shape.scale);
    query_rows(grad_q, block).copy_(layout.unfold_queries(torch::bmm(grad_scores, key)));
    key_rows(grad_k, block)
        .add_(layout.unfold_keys(torch::bmm(grad_scores.transpose(1, 2), query)));
  }
  return {grad_q, grad_k, grad_v};
}

} // namespace errata
