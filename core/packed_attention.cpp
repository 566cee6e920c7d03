#include "core/packed_attention.h"

#include "core/autograd.h"
#include "core/packed_attention_short.h"

#include <algorithm>
#include <limits>
#include <utility>

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

struct Attended {
  torch::Tensor out;               ///< [rows, heads, head_dim]
  std::vector<torch::Tensor> kept; ///< probabilities of the blocks that `is_kept` says
};

Attended attend(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<Block>& blocks,
    const AttentionShape& shape,
    bool keep) {
  Attended result;
  result.out = torch::zeros(q.sizes(), q.options());
  for (const Block& block : blocks) {
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
    if (keep && is_kept(block, shape)) {
      result.kept.push_back(weights);
    }
  }
  return result;
}

class PackedAttentionFunction : public torch::autograd::Function<PackedAttentionFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      const std::vector<LengthGroup>& groups,
      const SharedPrefixes* prefixes, // short sequences only
      const AttentionShape& shape) {
    save(*context, groups, prefixes, shape);
    torch::autograd::variable_list saved = {q, k, v};
    if (is_short_attention(q, k, v, groups)) {
      ShortAttention result = short_attention(q, k, v, groups, prefixes, shape);
      saved.push_back(result.log_sums);
      context->save_for_backward(std::move(saved));
      return result.out;
    }
    Attended result = attend(q, k, v, plan_blocks(groups, shape), shape, true);
    saved.insert(saved.end(), result.kept.begin(), result.kept.end());
    context->save_for_backward(std::move(saved));
    return result.out;
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& q = saved[0];
    const torch::Tensor& k = saved[1];
    const torch::Tensor& v = saved[2];
    const AttentionShape shape = saved_shape(*context);
    const std::vector<LengthGroup> groups = saved_groups(*context);
    if (is_short_attention(q, k, v, groups)) {
      const std::optional<SharedPrefixes> prefixes = saved_prefixes(*context);
      const AttentionGradients found = short_attention_backward(
          q, k, v, saved[3], gradients[0], groups, prefixes ? &*prefixes : nullptr, shape);
      return {found.q, found.k, found.v, torch::Tensor(), torch::Tensor(), torch::Tensor()};
    }
    const torch::Tensor grad = gradients[0].contiguous();

    torch::Tensor grad_q = torch::zeros(q.sizes(), q.options());
    torch::Tensor grad_k = torch::zeros(k.sizes(), k.options());
    torch::Tensor grad_v = torch::zeros(v.sizes(), v.options());
    std::size_t next_kept = 3;
    for (const Block& block : plan_blocks(groups, shape)) {
      const BlockLayout layout(block, shape);
      const torch::Tensor query = layout.fold_queries(query_rows(q, block));
      const torch::Tensor key = layout.fold_keys(key_rows(k, block));
      const torch::Tensor value = layout.fold_keys(key_rows(v, block));
      const torch::Tensor out = layout.fold_queries(query_rows(grad, block));
      const Scores scores = is_kept(block, shape)
                                ? Scores{saved[next_kept++], {}}
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
    return {grad_q, grad_k, grad_v, torch::Tensor(), torch::Tensor(), torch::Tensor()};
  }

 private:
  static void save(
      torch::autograd::AutogradContext& context,
      const std::vector<LengthGroup>& groups,
      const SharedPrefixes* prefixes,
      const AttentionShape& shape) {
    if (prefixes != nullptr) {
      context.saved_data["rows"] = prefixes->rows;
      context.saved_data["shared"] = prefixes->shared;
    }
    std::vector<std::int64_t> flat;
    for (const LengthGroup& group : groups) {
      flat.insert(flat.end(), {group.first_row, group.count, group.length});
    }
    context.saved_data["groups"] = flat;
    context.saved_data["shape"] =
        std::vector<std::int64_t>{shape.heads, shape.kv_heads, shape.head_dim, shape.window};
    context.saved_data["scale"] = shape.scale;
    context.saved_data["softcap"] = shape.softcap;
  }

  static std::vector<LengthGroup> saved_groups(torch::autograd::AutogradContext& context) {
    const std::vector<std::int64_t> flat = context.saved_data["groups"].toIntVector();
    std::vector<LengthGroup> groups;
    for (std::size_t i = 0; i < flat.size(); i += 3) {
      groups.push_back({flat[i], flat[i + 1], flat[i + 2]});
    }
    return groups;
  }

  static std::optional<SharedPrefixes> saved_prefixes(torch::autograd::AutogradContext& context) {
    if (context.saved_data.count("rows") == 0) {
      return std::nullopt;
    }
    SharedPrefixes prefixes;
    prefixes.rows = context.saved_data["rows"].toTensor();
    prefixes.shared = context.saved_data["shared"].toIntVector();
    return prefixes;
  }

  static AttentionShape saved_shape(torch::autograd::AutogradContext& context) {
    const std::vector<std::int64_t> shape = context.saved_data["shape"].toIntVector();
    return {
        shape[0],
        shape[1],
        shape[2],
        context.saved_data["scale"].toDouble(),
        shape[3],
        context.saved_data["softcap"].toDouble()};
  }
};

torch::Tensor attend_rows(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<LengthGroup>& groups,
    const SharedPrefixes* prefixes,
    const AttentionShape& shape) {
  const std::int64_t rows = q.size(0);
  const torch::Tensor query = q.view({rows, shape.heads, shape.head_dim});
  const torch::Tensor key = k.view({rows, shape.kv_heads, shape.head_dim});
  const torch::Tensor value = v.view({rows, shape.kv_heads, shape.head_dim});
  torch::Tensor out;
  if (needs_graph(q, k, v)) {
    out = PackedAttentionFunction::apply(query, key, value, groups, prefixes, shape);
  } else if (is_short_attention(query, key, value, groups)) {
    out = short_attention(query, key, value, groups, prefixes, shape).out;
  } else {
    out = attend(query, key, value, plan_blocks(groups, shape), shape, false).out;
  }
  return out.view({rows, shape.heads * shape.head_dim});
}

/// Rows of `x` by number, some of them many times.
class RowsFunction : public torch::autograd::Function<RowsFunction> {
 public:
  static torch::Tensor forward(
      torch::autograd::AutogradContext* context,
      const torch::Tensor& x,
      const torch::Tensor& rows) {
    context->saved_data["rows"] = rows;
    context->saved_data["count"] = x.size(0);
    return x.index_select(0, rows);
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    return {
        sum_of_places(
            gradients[0],
            context->saved_data["rows"].toTensor(),
            context->saved_data["count"].toInt()),
        torch::Tensor()};
  }
};

} // namespace

void cap_scores_(torch::Tensor& scores, const AttentionShape& shape) {
  if (shape.softcap > 0) {
    scores.div_(shape.softcap).tanh_().mul_(shape.softcap);
  }
}

torch::Tensor packed_attention(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<LengthGroup>& groups,
    const AttentionShape& shape) {
  return attend_rows(q, k, v, groups, nullptr, shape);
}

PackedAttention::PackedAttention(const PackedBatch& batch, torch::Device device)
    : PackedAttention(batch.groups, device) {
  prefixes_ = batch.prefixes;
}

PackedAttention::PackedAttention(std::vector<LengthGroup> groups, torch::Device device)
    : groups_(std::move(groups)) {
  if (!device.is_cpu() && is_worth_padding(groups_)) {
    padded_ = padded_places(groups_, device);
  }
}

torch::Tensor PackedAttention::operator()(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const AttentionShape& shape) const {
  if (!prefixes_) {
    return at_places(q, k, v, shape);
  }
  if (is_short_attention(q, k, v, groups_)) {
    return attend_rows(q, k, v, groups_, &*prefixes_, shape);
  }
  const auto spread = [&](const torch::Tensor& x) {
    return RowsFunction::apply(x, prefixes_->rows);
  };
  return at_places(spread(q), spread(k), spread(v), shape).index_select(0, prefixes_->places);
}

torch::Tensor PackedAttention::at_places(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const AttentionShape& shape) const {
  const std::int64_t rows = q.size(0);
  if (!padded_ || padded_->kept.size(0) != rows || shape.softcap > 0) {
    return packed_attention(q, k, v, groups_, shape);
  }
  return padded_attention(
             q.view({rows, shape.heads, shape.head_dim}),
             k.view({rows, shape.kv_heads, shape.head_dim}),
             v.view({rows, shape.kv_heads, shape.head_dim}),
             *padded_,
             shape)
      .view({rows, shape.heads * shape.head_dim});
}

} // namespace errata
