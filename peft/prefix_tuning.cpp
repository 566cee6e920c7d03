#include "peft/prefix_tuning.h"

#include "core/base/error.h"
#include "peft/config_file.h"
#include "peft/perceptron.h"
#include "peft/prompt_tuning.h"
#include "peft/unmergeable_adapter.h"

#include <optional>

namespace errata::peft {
namespace {

/// The table [tokens, layers * 2 * kv_heads * head_dim] of all keys and values: those of layer l
/// are the parts 2 l and 2 l + 1.
class PrefixTable {
 public:
  PrefixTable(torch::Tensor table, std::optional<Perceptron> encoder)
      : table_(std::move(table)), encoder_(std::move(encoder)) {}

  std::int64_t length() const { return table_.size(0); }
  torch::Tensor values() const { return encoder_ ? encoder_->forward(table_) : table_; }
  /// Made once a pass: every layer takes its part of it.
  const torch::Tensor& of_this_pass(bool begins) {
    if (begins || !current_.defined()) {
      current_ = values();
    }
    return current_;
  }

  NamedTensors named_tensors() const {
    NamedTensors all{{encoder_ ? "embedding.weight" : kPromptTensor, table_}};
    if (encoder_) {
      for (auto& item : encoder_->named_tensors("transform")) {
        all.push_back(std::move(item));
      }
    }
    return all;
  }

 private:
  torch::Tensor table_;
  std::optional<Perceptron> encoder_;
  torch::Tensor current_;
};

// The positions in front; what the layers compute there is not looked at.
class PrefixInput final : public InputAttachment {
 public:
  PrefixInput(
      std::shared_ptr<PrefixTable> table, torch::Tensor zeros, std::shared_ptr<bool> enabled)
      : table_(std::move(table)), zeros_(std::move(zeros)), enabled_(std::move(enabled)) {}

  bool active() const override { return *enabled_; }
  std::int64_t length() const override { return table_->length(); }
  torch::Tensor vectors() override { return zeros_; }

 private:
  std::shared_ptr<PrefixTable> table_;
  torch::Tensor zeros_;
  std::shared_ptr<bool> enabled_;
};

class PrefixAttention final : public AttentionAttachment {
 public:
  PrefixAttention(
      std::shared_ptr<PrefixTable> table,
      std::int64_t layer,
      std::int64_t layers,
      std::shared_ptr<bool> enabled)
      : table_(std::move(table)), layer_(layer), layers_(layers), enabled_(std::move(enabled)) {}

  std::pair<torch::Tensor, torch::Tensor> prefix() override {
    if (!*enabled_) {
      return {};
    }
    const torch::Tensor& all = table_->of_this_pass(layer_ == 0);
    const auto parts = all.view({all.size(0), 2 * layers_, -1});
    return {parts.select(1, 2 * layer_), parts.select(1, 2 * layer_ + 1)};
  }

 private:
  std::shared_ptr<PrefixTable> table_;
  std::int64_t layer_;
  std::int64_t layers_;
  std::shared_ptr<bool> enabled_;
};

class PrefixAdapter final : public UnmergeableAdapter {
 public:
  PrefixAdapter(Decoder& model, AdapterConfig config, std::shared_ptr<PrefixTable> table)
      : UnmergeableAdapter(std::move(config)), model_(model), table_(std::move(table)) {
    const std::int64_t layers = model_->config().num_layers();
    const torch::Tensor zeros = torch::zeros(
        {table_->length(), model_->config().hidden_size},
        torch::TensorOptions().device(model_->device()));
    input_ = std::make_shared<PrefixInput>(table_, zeros, switch_state());
    model_->input_attachments().attach(input_);
    for (std::int64_t i = 0; i < layers; ++i) {
      attached_.push_back(std::make_shared<PrefixAttention>(table_, i, layers, switch_state()));
      model_->attention(i)->attachments().attach(attached_.back());
    }
  }
  ~PrefixAdapter() override {
    model_->input_attachments().detach(input_.get());
    for (std::size_t i = 0; i < attached_.size(); ++i) {
      model_->attention(static_cast<std::int64_t>(i))->attachments().detach(attached_[i].get());
    }
  }
  PrefixAdapter(const PrefixAdapter&) = delete;
  PrefixAdapter& operator=(const PrefixAdapter&) = delete;

  NamedTensors named_parameters() const override { return table_->named_tensors(); }
  NamedTensors file_tensors() const override {
    const torch::NoGradGuard no_grad;
    return {{kPromptTensor, table_->values()}};
  }
  std::vector<std::string> modules() const override { return {}; }
  std::int64_t first_layer() const override { return 0; }

 private:
  Decoder model_;
  std::shared_ptr<PrefixTable> table_;
  std::shared_ptr<PrefixInput> input_;
  std::vector<std::shared_ptr<PrefixAttention>> attached_;
};

// Takes down the keys and values of a pass.
class KeysAndValues final : public AttentionAttachment {
 public:
  torch::Tensor extra(SelfAttentionImpl& /*attention*/, const Projections& projections) override {
    seen = torch::cat({projections.k, projections.v}, 1).to(torch::kFloat32);
    return {};
  }

  torch::Tensor seen;
};

// The table that real tokens in front would give.
torch::Tensor table_of_tokens(Decoder& model, const std::vector<std::int64_t>& tokens) {
  const torch::NoGradGuard no_grad;
  std::vector<std::shared_ptr<KeysAndValues>> listeners;
  const std::int64_t layers = model->config().num_layers();
  for (std::int64_t i = 0; i < layers; ++i) {
    listeners.push_back(std::make_shared<KeysAndValues>());
    model->attention(i)->attachments().attach(listeners.back());
  }
  const std::vector<std::vector<std::int32_t>> sequences{{tokens.begin(), tokens.end()}};
  model->hidden(pack(sequences, model->device()));
  std::vector<torch::Tensor> parts;
  for (std::int64_t i = 0; i < layers; ++i) {
    const auto& listener = listeners[static_cast<std::size_t>(i)];
    model->attention(i)->attachments().detach(listener.get());
    parts.push_back(listener->seen);
  }
  return torch::cat(parts, 1);
}

std::unique_ptr<Adapter> attach_prefix(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& /*modules*/,
    Start start,
    std::uint64_t seed) {
  const DecoderConfig& shape = model->config();
  for (std::int64_t i = 0; i < shape.num_layers(); ++i) {
    ERRATA_CHECK(
        model->attention(i),
        ErrorCode::kUnsupported,
        "prefix tuning of a model with recurrent layers (",
        shape.model_type,
        "); use prompt tuning");
  }
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  const std::int64_t width = shape.num_kv_heads * shape.head_dim;
  std::shared_ptr<PrefixTable> table;
  if (config.prompt.prefix_projection && start == Start::kFresh) {
    const std::int64_t inner = config.prompt.encoder_hidden_size > 0
                                   ? config.prompt.encoder_hidden_size
                                   : shape.hidden_size;
    torch::Tensor embedding = torch::empty({config.prompt.num_virtual_tokens, width})
                                  .normal_(0, 1, generator)
                                  .to(model->device())
                                  .requires_grad_(true);
    Perceptron encoder(
        {width, inner, shape.num_layers() * 2 * width}, "tanh", model->device(), generator);
    table = std::make_shared<PrefixTable>(std::move(embedding), std::move(encoder));
  } else {
    torch::Tensor values =
        start == Start::kFromFile || model->device().is_meta()
            ? torch::empty(
                  {config.prompt.num_virtual_tokens, shape.num_layers() * 2 * width},
                  model->device())
            : table_of_tokens(model, start_tokens(config, shape.vocab_size, generator))
                  .contiguous();
    table = std::make_shared<PrefixTable>(values.requires_grad_(true), std::nullopt);
  }
  return std::make_unique<PrefixAdapter>(model, std::move(config), std::move(table));
}

void read_prefix(const ConfigFile& file, AdapterConfig& config) {
  read_prompt(file, config);
  config.prompt.prefix_projection = file.fields.optional<bool>("prefix_projection", false);
}

void write_prefix(const AdapterConfig& config, OrderedJson& json) {
  write_prompt(config, json);
  json["prefix_projection"] = config.prompt.prefix_projection;
  json["encoder_hidden_size"] = config.prompt.encoder_hidden_size > 0
                                    ? OrderedJson(config.prompt.encoder_hidden_size)
                                    : OrderedJson(nullptr);
}

} // namespace

const AdapterType& prefix_tuning_type() {
  static const AdapterType type{
      .peft_type = "PREFIX_TUNING",
      .name = "prefix tuning",
      .shared_tensors = {kPromptTensor},
      .has_layers = false,
      .selects_linears = false,
      .check = check_prompt,
      .read = read_prefix,
      .keys =
          {"num_virtual_tokens",
           "token_dim",
           "num_transformer_submodules",
           "num_attention_heads",
           "num_layers",
           "prefix_projection",
           "encoder_hidden_size",
           "init_weights"},
      .write = write_prefix,
      .attach = attach_prefix};
  return type;
}

} // namespace errata::peft
