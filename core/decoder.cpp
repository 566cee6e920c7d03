#include "core/decoder.h"

#include "core/base/error.h"
#include "core/decoder_parts.h"
#include "core/packed_attention.h"

#include <algorithm>
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
  for (const LayerConfig& layer : config.layers) {
    const std::int64_t turning =
        layer.rope.rotary_dim > 0 ? layer.rope.rotary_dim : config.head_dim;
    ERRATA_CHECK(
        !config.names.positions.empty() || (turning % 2 == 0 && turning <= config.head_dim),
        ErrorCode::kInvalidArgument,
        "model config: ",
        turning,
        " dimensions turn at head_dim ",
        config.head_dim,
        "; rotary positions need an even number, at most all");
  }
}

/// Position of each row within its sequence, int64 [rows]; 0 in rows of no sequence.
torch::Tensor positions_of(const PackedBatch& batch, torch::Device device) {
  const torch::Tensor positions = torch::zeros({batch.rows()}, torch::kInt64);
  auto* const next = positions.data_ptr<std::int64_t>();
  for (const LengthGroup& group : batch.groups) {
    for (std::int64_t place = 0; place < group.count * group.length; ++place) {
      next[batch.row_at(group.first_row + place)] = place % group.length;
    }
  }
  return positions.to(device);
}

/// Length of the sequence that each row is in, int64 [rows]; 1 in rows of no sequence.
torch::Tensor lengths_of(const PackedBatch& batch, torch::Device device) {
  torch::Tensor lengths = torch::ones({batch.rows()}, torch::kInt64);
  for (const LengthGroup& group : batch.groups) {
    lengths.narrow(0, group.first_row, group.count * group.length).fill_(group.length);
  }
  return lengths.to(device);
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
  register_module(config_.names.root, parts_->model);
  if (config_.tie_word_embeddings) {
    parts_->lm_head = Linear(parts_->model->embedding->weight);
  } else {
    parts_->lm_head = register_module(
        kHeadName, Linear(config_.hidden_size, config_.vocab_size, config_.head_bias, parameters));
  }
}

DecoderImpl::~DecoderImpl() = default;

torch::Device DecoderImpl::device() const {
  return parts_->model->embedding->weight.device();
}

void DecoderImpl::initialise(double std) {
  const torch::NoGradGuard no_grad;
  for (auto& item : named_parameters()) {
    torch::Tensor& parameter = item.value();
    if (parameter.dim() >= 2) {
      parameter.normal_(0.0, std);
    } else if (item.key().ends_with("recurrent_param")) {
      // Griffin, section 2.4: the recurrence forgets little, a^8 of 0.9 to 0.999.
      constexpr double kLow = 0.9 * 0.9;
      constexpr double kHigh = 0.999 * 0.999;
      parameter.uniform_(kLow, kHigh).log_().mul_(-0.5).exp_().sub_(1.0).log_();
    } else {
      // Biases and norms stored around 0; the other norms multiply by the weight itself.
      const bool factor = !item.key().ends_with("bias") && !config_.norm_adds_one;
      parameter.fill_(factor ? 1.0 : 0.0);
    }
  }
}

torch::Tensor DecoderImpl::hidden(const PackedBatch& batch, const torch::Tensor& wanted) {
  InputAttachment* const input = active_input();
  return input != nullptr ? hidden_after(*input, batch, wanted)
                          : hidden_from(0, states_before(0, batch), batch, wanted);
}

// With further rows in front of each sequence, which are left out of the result.
torch::Tensor DecoderImpl::hidden_after(
    InputAttachment& input, const PackedBatch& batch, const torch::Tensor& wanted) {
  const PrefixedBatch prefixed = with_prefix(batch, input.length());
  const torch::Tensor positions =
      parts_->model->positions ? positions_of(prefixed.batch, batch.ids.device()) : torch::Tensor();
  const torch::Tensor x = parts_->put_vectors(
      embed_packed(prefixed.batch), prefixed.prefix_rows, input.vectors(), positions, config_);
  const torch::Tensor rows =
      wanted.defined() ? prefixed.rows.index_select(0, wanted) : prefixed.rows;
  return parts_->model->norm->forward(
      run_packed(0, config_.num_layers(), x, prefixed.batch, rows, prefixed.prefix_rows));
}

InputAttachment* DecoderImpl::active_input() const {
  InputAttachment* found = nullptr;
  for (const auto& input : input_attachments_) {
    if (input->active()) {
      ERRATA_CHECK(
          found == nullptr,
          ErrorCode::kUnsupported,
          "two soft prompts at once; use one adapter with a prompt or prefix at a time");
      found = input.get();
    }
  }
  return found;
}

torch::Tensor DecoderImpl::embed_packed(const PackedBatch& batch) {
  const torch::Tensor positions =
      parts_->model->positions ? positions_of(batch, batch.ids.device()) : torch::Tensor();
  return parts_->embed(batch.ids, positions, longest(batch.groups), config_, compute_dtype_);
}

torch::Tensor DecoderImpl::states_before(std::int64_t layer, const PackedBatch& batch) {
  ERRATA_CHECK(
      active_input() == nullptr,
      ErrorCode::kInternal,
      "the states of a soft prompt are not kept: it begins before the first layer");
  return run_packed(0, layer, embed_packed(batch), batch);
}

torch::Tensor DecoderImpl::hidden_from(
    std::int64_t layer,
    const torch::Tensor& states,
    const PackedBatch& batch,
    const torch::Tensor& wanted) {
  return parts_->model->norm->forward(
      run_packed(layer, config_.num_layers(), states, batch, wanted));
}

torch::Tensor DecoderImpl::run_packed(
    std::int64_t first,
    std::int64_t last,
    const torch::Tensor& states,
    const PackedBatch& batch,
    const torch::Tensor& wanted,
    const torch::Tensor& prefix_rows) {
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
    return wanted.defined() ? states.index_select(0, wanted) : states;
  }
  const double dropout = torch::GradMode::is_enabled() ? residual_dropout_ : 0.0;
  const auto angles = parts_->angles(
      positions_of(batch, states.device()),
      parts_->looks_at_lengths() ? lengths_of(batch, states.device()) : torch::Tensor(),
      longest(batch.groups),
      states.scalar_type());
  ERRATA_CHECK(
      !batch.prefixes || shares_prefixes(),
      ErrorCode::kInternal,
      "shared prefixes in a model whose states depend on more than the tokens before");
  const PackedAttention attention(batch, states.device());
  torch::Tensor x = states;
  for (std::int64_t i = first; i < last; ++i) {
    const AttentionShape shape = attention_shape(config_, i);
    const Attend attend = [&](const torch::Tensor& q,
                              const torch::Tensor& k,
                              const torch::Tensor& v) { return attention(q, k, v, shape); };
    LayerPass pass{
        parts_->of_layer(angles, i), attend, {}, dropout, prefix_rows, /*continues=*/false};
    if (i + 1 == last) {
      pass.wanted = wanted;
    }
    if (config_.layers[static_cast<std::size_t>(i)].recurrent) {
      pass.recurrent.groups = batch.groups;
    }
    x = parts_->layer(i)->forward(x, pass);
  }
  return x;
}

torch::Tensor DecoderImpl::logits(const torch::Tensor& hidden) {
  return capped(parts_->lm_head(hidden));
}

torch::Tensor DecoderImpl::base_logits(const torch::Tensor& hidden) const {
  const Linear& head = parts_->lm_head;
  return capped(head->compute(hidden, head->own(), hidden.scalar_type()));
}

torch::Tensor DecoderImpl::capped(const torch::Tensor& logits) const {
  if (!config_.final_logit_softcap) {
    return logits;
  }
  const double cap = *config_.final_logit_softcap;
  return torch::tanh(logits / cap) * cap;
}

SelfAttention DecoderImpl::attention(std::int64_t layer) const {
  return parts_->layer(layer)->attention();
}

AttachmentList<BlockAttachment>& DecoderImpl::block_attachments(
    std::int64_t layer, SubLayer place) {
  return parts_->layer(layer)->attachments(place);
}

bool DecoderImpl::reentrant() const {
  const auto modules = adaptables();
  bool all = residual_dropout_ == 0 && input_attachments_.reentrant() &&
             std::all_of(modules.begin(), modules.end(), [](const auto& module) {
               const auto& attached = module.second->attachments();
               return std::all_of(attached.begin(), attached.end(), [](const auto& attachment) {
                 return attachment->reentrant();
               });
             });
  for (std::int64_t i = 0; i < config_.num_layers(); ++i) {
    DecoderLayer& layer = parts_->layer(i);
    SelfAttention attention = layer->attention();
    all = all && layer->attachments(SubLayer::kAttention).reentrant() &&
          layer->attachments(SubLayer::kMlp).reentrant() &&
          (!attention || attention->attachments().reentrant());
  }
  return all;
}

std::int64_t DecoderImpl::prompt_length() const {
  const InputAttachment* const input = active_input();
  return input != nullptr ? input->length() : 0;
}

bool DecoderImpl::shares_prefixes() const {
  return device().is_cpu() && !parts_->looks_at_lengths() &&
         std::none_of(config_.layers.begin(), config_.layers.end(), [](const LayerConfig& layer) {
           return layer.recurrent;
         });
}

std::set<std::string> DecoderImpl::transposed_in_files() const {
  std::set<std::string> names;
  for (const auto& [path, linear] : linears()) {
    if (linear->transposed_in_files) {
      names.insert(path + ".weight");
    }
  }
  return names;
}

std::vector<std::pair<std::string, Adaptable>> DecoderImpl::adaptables() const {
  std::vector<std::pair<std::string, Adaptable>> found;
  for (const auto& item : named_modules("", /*include_self=*/false)) {
    if (auto module = std::dynamic_pointer_cast<AdaptableImpl>(item.value())) {
      found.emplace_back(item.key(), std::move(module));
    }
  }
  if (config_.tie_word_embeddings) { // the embedding registers the weight
    found.emplace_back(kHeadName, parts_->lm_head.ptr());
  }
  return found;
}

std::vector<std::pair<std::string, Linear>> DecoderImpl::linears() const {
  std::vector<std::pair<std::string, Linear>> found;
  for (std::int64_t i = 0; i < config_.num_layers(); ++i) {
    for (const auto& [name, linear] : parts_->layer(i)->linears()) {
      found.emplace_back(config_.names.layer(i) + "." + name, linear);
    }
  }
  return found;
}

} // namespace errata
