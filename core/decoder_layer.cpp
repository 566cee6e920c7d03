#include "core/decoder_layer.h"

#include "core/gated_activation.h"

namespace errata {
namespace {

torch::Tensor dropped(const torch::Tensor& x, double probability) {
  return probability > 0 ? torch::dropout(x, probability, true) : x;
}

torch::Tensor wanted_rows(const torch::Tensor& x, const LayerPass& pass) {
  return pass.wanted.defined() ? x.index_select(0, pass.wanted) : x;
}

// Registers linear layers and keeps them with their names.
class LinearMaker {
 public:
  LinearMaker(
      torch::nn::Module& module,
      NamedLinears& linears,
      const DecoderConfig& config,
      torch::TensorOptions options)
      : module_(module), linears_(linears), config_(config), options_(options) {}

  Linear operator()(const std::string& name, std::int64_t in, std::int64_t out, bool bias) {
    Linear linear =
        module_.register_module(name, Linear(in, out, bias, options_, config_.transposed_files));
    linears_.emplace_back(name, linear);
    return linear;
  }

 private:
  torch::nn::Module& module_;
  NamedLinears& linears_;
  const DecoderConfig& config_;
  torch::TensorOptions options_;
};

} // namespace

SelfAttentionImpl::SelfAttentionImpl(const DecoderConfig& config, torch::TensorOptions options)
    : queries_(config.num_heads * config.head_dim),
      keys_(config.num_kv_heads * config.head_dim),
      head_dim_(config.head_dim) {
  const ModuleNames& names = config.names;
  const std::int64_t hidden = config.hidden_size;
  LinearMaker linear(*this, linears_, config, options);
  if (names.qkv.empty()) {
    q_proj_ = linear(names.q, hidden, queries_, config.attention_bias);
    k_proj_ = linear(names.k, hidden, keys_, config.attention_bias);
    v_proj_ = linear(names.v, hidden, keys_, config.attention_bias);
  } else {
    qkv_ = linear(names.qkv, hidden, queries_ + 2 * keys_, config.attention_bias);
  }
  out_ = linear(names.out, queries_, hidden, config.output_bias);
  if (config.qk_norm) {
    q_norm_ = register_module("q_norm", make_norm(config, config.head_dim, options));
    k_norm_ = register_module("k_norm", make_norm(config, config.head_dim, options));
  }
}

Projections SelfAttentionImpl::raw_projections(const torch::Tensor& x) {
  if (!qkv_) {
    return {q_proj_(x), k_proj_(x), v_proj_(x)};
  }
  const auto parts = qkv_(x).split_with_sizes({queries_, keys_, keys_}, 1);
  return {parts[0].contiguous(), parts[1].contiguous(), parts[2].contiguous()};
}

Projections SelfAttentionImpl::project(const torch::Tensor& x) {
  Projections parts = raw_projections(x);
  parts.q = normed(parts.q, q_norm_);
  parts.k = normed(parts.k, k_norm_);
  return parts;
}

torch::Tensor SelfAttentionImpl::normed(const torch::Tensor& x, const Norm& norm) const {
  return norm ? norm->forward(x.view({x.size(0), -1, head_dim_})).view({x.size(0), -1}) : x;
}

torch::Tensor SelfAttentionImpl::rotated(const torch::Tensor& x, const RopeAngles& angles) const {
  return angles.cos.defined()
             ? rotate(x.view({x.size(0), -1, head_dim_}), angles).view({x.size(0), -1})
             : x;
}

// Keys and values that stand before the first token of each sequence.
void SelfAttentionImpl::put_prefixes(Projections& parts, const torch::Tensor& prefix_rows) {
  for (const auto& attachment : attachments_) {
    const auto [keys, values] = attachment->prefix();
    if (keys.defined()) {
      const std::int64_t sequences = prefix_rows.size(0) / keys.size(0);
      const auto put = [&](const torch::Tensor& rows, const torch::Tensor& prefix) {
        return rows.index_copy(
            0, prefix_rows, prefix.to(rows.scalar_type()).repeat({sequences, 1}));
      };
      parts.k = put(parts.k, keys);
      parts.v = put(parts.v, values);
    }
  }
}

torch::Tensor SelfAttentionImpl::forward(const torch::Tensor& x, const LayerPass& pass) {
  if (!pass.continues) {
    for (const auto& attachment : attachments_) {
      attachment->begin();
    }
  }
  Projections parts = project(x);
  parts.q = rotated(parts.q, pass.angles);
  parts.k = rotated(parts.k, pass.angles);
  if (pass.prefix_rows.defined()) {
    put_prefixes(parts, pass.prefix_rows);
  }
  torch::Tensor y = pass.attend(parts.q, parts.k, parts.v);
  torch::Tensor after;
  for (const auto& attachment : attachments_) {
    const torch::Tensor extra = attachment->extra(*this, parts);
    if (extra.defined()) {
      torch::Tensor& sum = attachment->after_projection() ? after : y;
      sum = sum.defined() ? sum + extra : extra;
    }
  }
  y = out_(wanted_rows(y, pass));
  return after.defined() ? y + wanted_rows(after, pass) : y;
}

MlpImpl::MlpImpl(const DecoderConfig& config, torch::TensorOptions options)
    : activation_(config.activation) {
  const ModuleNames& names = config.names;
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t inner = config.intermediate_size;
  LinearMaker linear(*this, linears_, config, options);
  if (!names.gate.empty()) {
    gate_ = linear(names.gate, hidden, inner, config.mlp_bias);
  }
  up_ = linear(names.up, hidden, inner, config.mlp_bias);
  down_ = linear(names.down, inner, hidden, config.mlp_bias);
}

torch::Tensor MlpImpl::forward(const torch::Tensor& x) {
  return down_(
      gate_ ? gated_activation(gate_(x), up_(x), activation_) : activate(up_(x), activation_));
}

DecoderLayerImpl::DecoderLayerImpl(
    const DecoderConfig& config, std::int64_t index, torch::TensorOptions options)
    : attention_name_(config.names.attention), mlp_name_(config.names.mlp) {
  const auto norm = [&](const std::string& name) {
    return register_module(name, make_norm(config, config.hidden_size, options));
  };
  if (config.layers[static_cast<std::size_t>(index)].recurrent) {
    recurrent_ = register_module(attention_name_, RecurrentBlock(config, options));
  } else {
    attention_ = register_module(attention_name_, SelfAttention(config, options));
  }
  mlp_ = register_module(mlp_name_, Mlp(config, options));
  input_norm_ = norm(config.names.first_norm);
  if (config.sandwich_norms) {
    attention_out_norm_ = norm("post_attention_layernorm");
    mlp_norm_ = norm("pre_feedforward_layernorm");
    mlp_out_norm_ = norm("post_feedforward_layernorm");
  } else if (!config.parallel_block) {
    mlp_norm_ = norm(config.names.second_norm);
  }
}

torch::Tensor DecoderLayerImpl::forward(const torch::Tensor& x, const LayerPass& pass) {
  const auto branch = [&](const torch::Tensor& before,
                          const torch::Tensor& y,
                          const Norm& norm,
                          const AttachmentList<BlockAttachment>& attachments) {
    torch::Tensor f = norm ? norm->forward(y) : y;
    for (const auto& attachment : attachments) {
      f = attachment->apply(before, f);
    }
    return dropped(f, pass.dropout);
  };
  const torch::Tensor entered = input_norm_->forward(x);
  const torch::Tensor mixed = recurrent_ ? wanted_rows(recurrent_(entered, pass.recurrent), pass)
                                         : attention_(entered, pass);
  const torch::Tensor stream = wanted_rows(x, pass);
  const torch::Tensor middle =
      stream + branch(stream, mixed, attention_out_norm_, attention_attachments_);
  const torch::Tensor inner =
      mlp_(mlp_norm_ ? mlp_norm_->forward(middle) : wanted_rows(entered, pass));
  return middle + branch(middle, inner, mlp_out_norm_, mlp_attachments_);
}

NamedLinears DecoderLayerImpl::linears() const {
  NamedLinears found;
  for (const auto& [name, linear] : recurrent_ ? recurrent_->linears() : attention_->linears()) {
    found.emplace_back(attention_name_ + "." + name, linear);
  }
  for (const auto& [name, linear] : mlp_->linears()) {
    found.emplace_back(mlp_name_ + "." + name, linear);
  }
  return found;
}

} // namespace errata
