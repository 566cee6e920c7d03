#include "core/decoder_layer.h"

#include "core/gated_activation.h"

namespace errata {
namespace {

torch::Tensor dropped(const torch::Tensor& x, double probability) {
  return probability > 0 ? torch::dropout(x, probability, true) : x;
}

} // namespace

SelfAttentionImpl::SelfAttentionImpl(const DecoderConfig& config, torch::TensorOptions options)
    : head_dim_(config.head_dim) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t queries = config.num_heads * config.head_dim;
  const std::int64_t keys = config.num_kv_heads * config.head_dim;
  const auto linear = [&](const char* name, std::int64_t in, std::int64_t out, bool bias) {
    return register_module(name, Linear(in, out, bias, options));
  };
  q_proj = linear("q_proj", hidden, queries, config.attention_bias);
  k_proj = linear("k_proj", hidden, keys, config.attention_bias);
  v_proj = linear("v_proj", hidden, keys, config.attention_bias);
  o_proj = linear("o_proj", queries, hidden, config.output_bias);
  if (config.qk_norm) {
    const auto norm = [&](const char* name) {
      return register_module(
          name, RmsNorm(config.head_dim, config.rms_norm_eps, config.norm_adds_one, options));
    };
    q_norm = norm("q_norm");
    k_norm = norm("k_norm");
  }
}

torch::Tensor SelfAttentionImpl::forward(
    const torch::Tensor& x, const RopeAngles& angles, const Attend& attend) {
  const auto prepare = [&](Linear& projection, RmsNorm& norm) {
    torch::Tensor y = projection(x).view({x.size(0), -1, head_dim_});
    if (norm) {
      y = norm(y);
    }
    return rotate(y, angles).view({x.size(0), -1});
  };
  const torch::Tensor q = prepare(q_proj, q_norm);
  const torch::Tensor k = prepare(k_proj, k_norm);
  return o_proj(attend(q, k, v_proj(x)));
}

GatedMlpImpl::GatedMlpImpl(const DecoderConfig& config, torch::TensorOptions options)
    : activation_(config.activation) {
  const auto linear = [&](const char* name, std::int64_t in, std::int64_t out) {
    return register_module(name, Linear(in, out, config.mlp_bias, options));
  };
  gate_proj = linear("gate_proj", config.hidden_size, config.intermediate_size);
  up_proj = linear("up_proj", config.hidden_size, config.intermediate_size);
  down_proj = linear("down_proj", config.intermediate_size, config.hidden_size);
}

torch::Tensor GatedMlpImpl::forward(const torch::Tensor& x) {
  return down_proj(gated_activation(gate_proj(x), up_proj(x), activation_));
}

DecoderLayerImpl::DecoderLayerImpl(const DecoderConfig& config, torch::TensorOptions options) {
  const auto norm = [&](const char* name) {
    return register_module(
        name, RmsNorm(config.hidden_size, config.rms_norm_eps, config.norm_adds_one, options));
  };
  self_attn = register_module("self_attn", SelfAttention(config, options));
  mlp = register_module("mlp", GatedMlp(config, options));
  input_layernorm = norm("input_layernorm");
  post_attention_layernorm = norm("post_attention_layernorm");
  if (config.sandwich_norms) {
    pre_feedforward_layernorm = norm("pre_feedforward_layernorm");
    post_feedforward_layernorm = norm("post_feedforward_layernorm");
  }
}

torch::Tensor DecoderLayerImpl::forward(
    const torch::Tensor& x, const RopeAngles& angles, const Attend& attend, double dropout) {
  const torch::Tensor attended = self_attn(input_layernorm(x), angles, attend);
  if (!pre_feedforward_layernorm) {
    const torch::Tensor middle = x + dropped(attended, dropout);
    return middle + dropped(mlp(post_attention_layernorm(middle)), dropout);
  }
  const torch::Tensor middle = x + dropped(post_attention_layernorm(attended), dropout);
  const torch::Tensor fed = mlp(pre_feedforward_layernorm(middle));
  return middle + dropped(post_feedforward_layernorm(fed), dropout);
}

} // namespace errata
