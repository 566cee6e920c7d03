#pragma once

#include "core/decoder.h"
#include "core/generation.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace errata::testing_support {

/// The decoder once more in float64, written from the definition: one sequence, one head, one query
/// at a time, nothing shared with core.
class ReferenceDecoder {
 public:
  explicit ReferenceDecoder(const Decoder& model) : config_(model->config()) {
    for (const auto& item : model->named_parameters()) {
      weights_.insert(item.key(), item.value().detach().to(torch::kFloat64).clone());
    }
  }

  /// [tokens, vocab]
  torch::Tensor logits(const Tokens& tokens) const {
    const torch::NoGradGuard no_grad;
    const std::vector<std::int64_t> ids(tokens.begin(), tokens.end());
    torch::Tensor x =
        weight("model.embed_tokens").index({torch::tensor(ids)}) * config_.embedding_scale;
    for (std::size_t i = 0; i < config_.layers.size(); ++i) {
      x = block(x, i);
    }
    x = norm(x, "model.norm");
    torch::Tensor z =
        x.matmul(weight(config_.tie_word_embeddings ? "model.embed_tokens" : "lm_head").t());
    if (config_.final_logit_softcap) {
      z = (z / *config_.final_logit_softcap).tanh() * *config_.final_logit_softcap;
    }
    return z;
  }

  /// log p(token i | tokens before) for i >= 1
  std::vector<double> logprobs(const Tokens& tokens) const {
    const torch::Tensor p = torch::log_softmax(logits(tokens), -1);
    std::vector<double> result;
    for (std::size_t i = 1; i < tokens.size(); ++i) {
      result.push_back(p[static_cast<std::int64_t>(i - 1)][tokens[i]].item<double>());
    }
    return result;
  }

  /// The most probable continuation, one full pass a token.
  Tokens greedy(Tokens tokens, std::int64_t count, std::int64_t eos = -1) const {
    Tokens fresh;
    while (static_cast<std::int64_t>(fresh.size()) < count) {
      const auto next = static_cast<std::int32_t>(logits(tokens)[-1].argmax().item<std::int64_t>());
      if (next == eos) {
        break;
      }
      tokens.push_back(next);
      fresh.push_back(next);
    }
    return fresh;
  }

 private:
  torch::Tensor weight(const std::string& module) const { return weights_[module + ".weight"]; }

  torch::Tensor linear(const torch::Tensor& x, const std::string& module) const {
    const torch::Tensor y = x.matmul(weight(module).t());
    const torch::Tensor* bias = weights_.find(module + ".bias");
    return bias != nullptr ? y + *bias : y;
  }

  torch::Tensor norm(const torch::Tensor& x, const std::string& module) const {
    const torch::Tensor y = x / (x.square().mean(-1, true) + config_.norm_eps).sqrt();
    return y * (weight(module) + (config_.norm_adds_one ? 1.0 : 0.0));
  }

  // Complex multiplication of (x_j, x_{j + h/2}) by e^{i position theta_j}.
  torch::Tensor rotate(const torch::Tensor& x, const RopeConfig& rope) const {
    const std::int64_t half = config_.head_dim / 2;
    torch::Tensor y = x.clone();
    auto in = x.accessor<double, 2>();
    auto out = y.accessor<double, 2>();
    for (std::int64_t position = 0; position < x.size(0); ++position) {
      for (std::int64_t j = 0; j < half; ++j) {
        const double exponent = -2.0 * static_cast<double>(j) / static_cast<double>(2 * half);
        const double angle =
            static_cast<double>(position) * std::pow(rope.base, exponent) / rope.factor;
        const double a = in[position][j];
        const double b = in[position][j + half];
        out[position][j] = a * std::cos(angle) - b * std::sin(angle);
        out[position][j + half] = a * std::sin(angle) + b * std::cos(angle);
      }
    }
    return y;
  }

  torch::Tensor head(
      const torch::Tensor& x,
      std::int64_t index,
      const std::string& norm_name,
      const RopeConfig* rope) const {
    torch::Tensor y = x.narrow(1, index * config_.head_dim, config_.head_dim).contiguous();
    if (config_.qk_norm && !norm_name.empty()) {
      y = norm(y, norm_name);
    }
    return rope != nullptr ? rotate(y.contiguous(), *rope) : y;
  }

  torch::Tensor attention(
      const torch::Tensor& x, const LayerConfig& layer, const std::string& prefix) const {
    const torch::Tensor q = linear(x, prefix + "q_proj");
    const torch::Tensor k = linear(x, prefix + "k_proj");
    const torch::Tensor v = linear(x, prefix + "v_proj");
    std::vector<torch::Tensor> heads;
    for (std::int64_t h = 0; h < config_.num_heads; ++h) {
      const std::int64_t g = h / (config_.num_heads / config_.num_kv_heads);
      const torch::Tensor queries = head(q, h, prefix + "q_norm", &layer.rope);
      const torch::Tensor keys = head(k, g, prefix + "k_norm", &layer.rope);
      const torch::Tensor values = head(v, g, "", nullptr);
      std::vector<torch::Tensor> rows;
      for (std::int64_t i = 0; i < x.size(0); ++i) {
        const std::int64_t from =
            layer.window > 0 ? std::max<std::int64_t>(0, i - layer.window + 1) : 0;
        const torch::Tensor scores =
            keys.slice(0, from, i + 1).matmul(queries[i]) * config_.query_scale;
        rows.push_back(torch::softmax(scores, 0).matmul(values.slice(0, from, i + 1)));
      }
      heads.push_back(torch::stack(rows));
    }
    return linear(torch::cat(heads, 1), prefix + "o_proj");
  }

  torch::Tensor mlp(const torch::Tensor& x, const std::string& prefix) const {
    const torch::Tensor gate = linear(x, prefix + "gate_proj");
    torch::Tensor active;
    if (config_.activation == Activation::kSilu) {
      active = gate / ((-gate).exp() + 1.0);
    } else {
      const double factor = std::sqrt(2.0 / std::acos(-1.0));
      active = gate * 0.5 * (((gate + gate.pow(3) * 0.044715) * factor).tanh() + 1.0);
    }
    return linear(active * linear(x, prefix + "up_proj"), prefix + "down_proj");
  }

  torch::Tensor block(const torch::Tensor& x, std::size_t i) const {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    torch::Tensor a =
        attention(norm(x, layer + "input_layernorm"), config_.layers[i], layer + "self_attn.");
    if (config_.sandwich_norms) {
      const torch::Tensor h = x + norm(a, layer + "post_attention_layernorm");
      const torch::Tensor fed = mlp(norm(h, layer + "pre_feedforward_layernorm"), layer + "mlp.");
      return h + norm(fed, layer + "post_feedforward_layernorm");
    }
    const torch::Tensor h = x + a;
    return h + mlp(norm(h, layer + "post_attention_layernorm"), layer + "mlp.");
  }

  DecoderConfig config_;
  torch::OrderedDict<std::string, torch::Tensor> weights_;
};

} // namespace errata::testing_support
