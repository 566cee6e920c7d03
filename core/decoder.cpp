#include "core/decoder.h"

#include "core/base/error.h"
#include "core/decoder_parts.h"
#include "core/packed_attention.h"

#include <numeric>

namespace errata {
namespace {

void check_config(const DecoderConfig& config) {
  const auto positive = [](std::int64_t value, const char* name) {
    ERRATA_CHECK(
        value > 0,
        ErrorCode::kInvalidArgument,
        "model config: ",
        name,
        " is ",
        value,
        ", expected a positive number");
  };
  positive(config.vocab_size, "vocab_size");
  positive(config.hidden_size, "hidden_size");
  positive(config.intermediate_size, "intermediate_size");
  positive(config.num_heads, "num_attention_heads");
  positive(config.num_kv_heads, "num_key_value_heads");
  positive(config.head_dim, "head_dim");
  ERRATA_CHECK(
      config.num_heads % config.num_kv_heads == 0,
      ErrorCode::kInvalidArgument,
      "model config: num_attention_heads ",
      config.num_heads,
      " is not a multiple of num_key_value_heads ",
      config.num_kv_heads);
  ERRATA_CHECK(
      config.head_dim % 2 == 0,
      ErrorCode::kInvalidArgument,
      "model config: head_dim ",
      config.head_dim,
      " is odd; rotary positions need an even one");
}

/// Position of each row within its sequence, int64 [rows]; 0 in rows of no sequence.
torch::Tensor positions_of(const PackedBatch& batch, torch::Device device) {
  const torch::Tensor positions = torch::zeros({batch.rows()}, torch::kInt64);
  auto* next = positions.data_ptr<std::int64_t>();
  for (const LengthGroup& group : batch.groups) {
    for (std::int64_t i = 0; i < group.count; ++i, next += group.length) {
      std::iota(next, next + group.length, std::int64_t{0});
    }
  }
  return positions.to(device);
}

std::int64_t longest(const std::vector<LengthGroup>& groups) {
  std::int64_t length = 0;
  for (const LengthGroup& group : groups) {
    length = std::max(length, group.length);
  }
  return length;
}

torch::Dtype activation_dtype(const torch::TensorOptions& parameters) {
  return c10::typeMetaToScalarType(parameters.dtype());
}

} // namespace

DecoderImpl::DecoderImpl(DecoderConfig config, torch::TensorOptions parameters)
    : config_(std::move(config)), compute_dtype_(activation_dtype(parameters)) {
  check_config(config_);
  parts_ = std::make_unique<Parts>(config_, parameters);
  register_module("model", parts_->model);
  if (!config_.tie_word_embeddings) {
    parts_->lm_head = register_module(
        "lm_head", Linear(config_.hidden_size, config_.vocab_size, false, parameters));
  }
}

DecoderImpl::~DecoderImpl() = default;

torch::Device DecoderImpl::device() const {
  return parts_->model->embed_tokens->weight.device();
}

void DecoderImpl::initialise(double std) {
  const torch::NoGradGuard no_grad;
  for (auto& item : named_parameters()) {
    torch::Tensor& parameter = item.value();
    if (parameter.dim() == 2) {
      parameter.normal_(0.0, std);
    } else {
      // Biases and norms stored around 0; the other norms multiply by the weight itself.
      const bool factor = item.key().find("norm") != std::string::npos && !config_.norm_adds_one;
      parameter.fill_(factor ? 1.0 : 0.0);
    }
  }
}

torch::Tensor DecoderImpl::hidden(const PackedBatch& batch) {
  return hidden_from(0, states_before(0, batch), batch);
}

torch::Tensor DecoderImpl::states_before(std::int64_t layer, const PackedBatch& batch) {
  return run_packed(0, layer, parts_->embed(batch.ids, config_, compute_dtype_), batch);
}

torch::Tensor DecoderImpl::hidden_from(
    std::int64_t layer, const torch::Tensor& states, const PackedBatch& batch) {
  return parts_->model->norm(run_packed(layer, config_.num_layers(), states, batch));
}

torch::Tensor DecoderImpl::run_packed(
    std::int64_t first, std::int64_t last, const torch::Tensor& states, const PackedBatch& batch) {
  ERRATA_CHECK(
      0 <= first && first <= last && last <= config_.num_layers(),
      ErrorCode::kInternal,
      "layers ",
      first,
      " to ",
      last,
      " of a model with ",
      config_.num_layers());
  if (first == last) {
    return states;
  }
  const double dropout = torch::GradMode::is_enabled() ? residual_dropout_ : 0.0;
  const auto angles = parts_->angles(
      positions_of(batch, states.device()), longest(batch.groups), states.scalar_type());
  torch::Tensor x = states;
  for (std::int64_t i = first; i < last; ++i) {
    const AttentionShape shape = attention_shape(config_, i);
    const Attend attend =
        [&](const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v) {
          return packed_attention(q, k, v, batch.groups, shape);
        };
    x = parts_->layer(i)->forward(x, angles[parts_->rope_of_layer(i)], attend, dropout);
  }
  return x;
}

torch::Tensor DecoderImpl::logits(const torch::Tensor& hidden) {
  torch::Tensor z;
  if (config_.tie_word_embeddings) {
    z = torch::linear(hidden, parts_->model->embed_tokens->weight.to(hidden.scalar_type()));
  } else {
    z = parts_->lm_head(hidden);
  }
  if (config_.final_logit_softcap) {
    const double cap = *config_.final_logit_softcap;
    z = torch::tanh(z / cap) * cap;
  }
  return z;
}

std::vector<std::pair<std::string, Linear>> DecoderImpl::linears() const {
  std::vector<std::pair<std::string, Linear>> found;
  for (std::int64_t i = 0; i < config_.num_layers(); ++i) {
    const DecoderLayer& layer = parts_->layer(i);
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    const SelfAttention& attention = layer->self_attn;
    found.emplace_back(prefix + "self_attn.q_proj", attention->q_proj);
    found.emplace_back(prefix + "self_attn.k_proj", attention->k_proj);
    found.emplace_back(prefix + "self_attn.v_proj", attention->v_proj);
    found.emplace_back(prefix + "self_attn.o_proj", attention->o_proj);
    found.emplace_back(prefix + "mlp.gate_proj", layer->mlp->gate_proj);
    found.emplace_back(prefix + "mlp.up_proj", layer->mlp->up_proj);
    found.emplace_back(prefix + "mlp.down_proj", layer->mlp->down_proj);
  }
  return found;
}

} // namespace errata
