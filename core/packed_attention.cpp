#include "core/packed_attention.h"

#include "core/autograd.h"
#include "core/packed_attention_blocks.h"
#include "core/packed_attention_short.h"

#include <utility>

namespace errata {
namespace {

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
    BlockAttention result = attend_blocks(q, k, v, groups, shape, /*keeps=*/true);
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
    const AttentionGradients found = attend_blocks_backward(
        q, k, v, {saved.begin() + 3, saved.end()}, gradients[0].contiguous(), groups, shape);
    return {found.q, found.k, found.v, torch::Tensor(), torch::Tensor(), torch::Tensor()};
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
    out = attend_blocks(query, key, value, groups, shape, /*keeps=*/false).out;
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
