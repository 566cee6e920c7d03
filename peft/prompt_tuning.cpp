#include "peft/prompt_tuning.h"

#include "core/base/error.h"
#include "peft/config_file.h"
#include "peft/lstm.h"
#include "peft/perceptron.h"
#include "peft/unmergeable_adapter.h"

#include <optional>

namespace errata::peft {
namespace {

// What makes a prompt of a table while it is trained, with PEFT's names.
struct TableEncoder {
  std::optional<BidirectionalLstm> lstm;
  Perceptron head;

  torch::Tensor forward(const torch::Tensor& table) const {
    return head.forward(lstm ? lstm->forward(table) : table);
  }
  NamedTensors named_tensors() const {
    NamedTensors all = lstm ? lstm->named_tensors("lstm_head") : NamedTensors();
    for (auto& item : head.named_tensors("mlp_head")) {
      all.push_back(std::move(item));
    }
    return all;
  }
};

// Vectors in front, from a table or from what makes them.
class PromptInput final : public InputAttachment {
 public:
  PromptInput(
      torch::Tensor table, std::optional<TableEncoder> encoder, std::shared_ptr<bool> enabled)
      : table_(std::move(table)), encoder_(std::move(encoder)), enabled_(std::move(enabled)) {}

  bool active() const override { return *enabled_; }
  std::int64_t length() const override { return table_.size(0); }
  bool reentrant() const override { return true; }
  torch::Tensor vectors() override { return encoder_ ? encoder_->forward(table_) : table_; }

  NamedTensors named_tensors() const {
    NamedTensors all{{encoder_ ? "embedding.weight" : kPromptTensor, table_}};
    if (encoder_) {
      for (auto& item : encoder_->named_tensors()) {
        all.push_back(std::move(item));
      }
    }
    return all;
  }

 private:
  torch::Tensor table_;
  std::optional<TableEncoder> encoder_;
  std::shared_ptr<bool> enabled_;
};

class PromptAdapter final : public UnmergeableAdapter {
 public:
  PromptAdapter(
      Decoder& model,
      AdapterConfig config,
      torch::Tensor table,
      std::optional<TableEncoder> encoder)
      : UnmergeableAdapter(std::move(config)),
        model_(model),
        input_(
            std::make_shared<PromptInput>(std::move(table), std::move(encoder), switch_state())) {
    model_->input_attachments().attach(input_);
  }
  ~PromptAdapter() override { model_->input_attachments().detach(input_.get()); }
  PromptAdapter(const PromptAdapter&) = delete;
  PromptAdapter& operator=(const PromptAdapter&) = delete;

  NamedTensors named_parameters() const override { return input_->named_tensors(); }
  NamedTensors file_tensors() const override {
    const torch::NoGradGuard no_grad;
    return {{kPromptTensor, input_->vectors()}};
  }
  std::vector<std::string> modules() const override { return {}; }
  std::int64_t first_layer() const override { return 0; }

 private:
  Decoder model_;
  std::shared_ptr<PromptInput> input_;
};

// The vectors of the start tokens, as the first layer sees them.
torch::Tensor start_vectors(
    Decoder& model, const AdapterConfig& config, Start start, std::uint64_t seed) {
  const DecoderConfig& shape = model->config();
  if (start == Start::kFromFile || model->device().is_meta()) {
    return torch::empty({config.prompt.num_virtual_tokens, shape.hidden_size}, model->device());
  }
  const torch::Tensor table =
      model->named_parameters()[shape.names.root + "." + shape.names.embedding + ".weight"];
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  const std::vector<std::int64_t> tokens = start_tokens(config, shape.vocab_size, generator);
  const torch::Tensor ids = torch::tensor(tokens, torch::kInt64).to(table.device());
  const double scale = shape.scales_prompts ? 1.0 : shape.embedding_scale;
  return table.detach().index_select(0, ids).to(torch::kFloat32).mul(scale);
}

std::unique_ptr<Adapter> attach_prompt(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& /*modules*/,
    Start start,
    std::uint64_t seed) {
  torch::Tensor table = start_vectors(model, config, start, seed).requires_grad_(true);
  return std::make_unique<PromptAdapter>(model, std::move(config), std::move(table), std::nullopt);
}

TableEncoder make_encoder(
    const PromptConfig& config,
    std::int64_t hidden,
    const torch::Device& device,
    torch::Generator& generator) {
  const std::int64_t inner = config.encoder_hidden_size > 0 ? config.encoder_hidden_size : hidden;
  if (config.encoder == PromptEncoder::kMlp) {
    return {std::nullopt, Perceptron({hidden, inner, inner, hidden}, "relu", device, generator)};
  }
  BidirectionalLstm lstm(hidden, inner, config.encoder_num_layers, device, generator);
  return {std::move(lstm), Perceptron({2 * inner, 2 * inner, hidden}, "relu", device, generator)};
}

// A file's adapter is a table.
std::unique_ptr<Adapter> attach_p_tuning(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& modules,
    Start start,
    std::uint64_t seed) {
  if (start == Start::kFromFile) {
    return attach_prompt(model, std::move(config), modules, start, seed);
  }
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  const std::int64_t hidden = model->config().hidden_size;
  torch::Tensor table = torch::empty({config.prompt.num_virtual_tokens, hidden})
                            .normal_(0, 1, generator)
                            .to(model->device())
                            .requires_grad_(true);
  TableEncoder encoder = make_encoder(config.prompt, hidden, model->device(), generator);
  return std::make_unique<PromptAdapter>(
      model, std::move(config), std::move(table), std::move(encoder));
}

void write_prompt_tuning(const AdapterConfig& config, OrderedJson& json) {
  write_prompt(config, json);
  json["prompt_tuning_init"] = "RANDOM";
}

void write_p_tuning(const AdapterConfig& config, OrderedJson& json) {
  write_prompt(config, json);
  const bool lstm = config.prompt.encoder == PromptEncoder::kLstm;
  json["encoder_reparameterization_type"] = lstm ? "LSTM" : "MLP";
  if (lstm) { // PEFT warns of it beside an MLP
    json["encoder_num_layers"] = config.prompt.encoder_num_layers;
  }
  json["encoder_hidden_size"] = config.prompt.encoder_hidden_size > 0
                                    ? OrderedJson(config.prompt.encoder_hidden_size)
                                    : OrderedJson(nullptr);
}

// How the table was made: kept, so that what is read is written again.
void read_p_tuning(const ConfigFile& file, AdapterConfig& config) {
  read_prompt(file, config);
  if (file.fields.optional<std::string>("encoder_reparameterization_type", "MLP") == "LSTM") {
    config.prompt.encoder = PromptEncoder::kLstm;
    config.prompt.encoder_num_layers = file.fields.optional<std::int64_t>("encoder_num_layers", 2);
  }
}

const std::vector<std::string_view> kPromptKeys = {
    "num_virtual_tokens",
    // What follows from the model, or says how the vectors were trained.
    "token_dim",
    "num_transformer_submodules",
    "num_attention_heads",
    "num_layers",
    "prompt_tuning_init",
    "prompt_tuning_init_text",
    "tokenizer_name_or_path",
    "tokenizer_kwargs",
    "encoder_reparameterization_type",
    "encoder_hidden_size",
    "encoder_num_layers",
    "encoder_dropout"};

AdapterType prompt_type(
    std::string_view peft_type,
    std::string_view name,
    decltype(AdapterType::read) read,
    decltype(AdapterType::write) write,
    decltype(AdapterType::attach) attach) {
  return {
      .peft_type = peft_type,
      .name = name,
      .shared_tensors = {kPromptTensor},
      .has_layers = false,
      .selects_linears = false,
      .check = check_prompt,
      .read = read,
      .keys = kPromptKeys,
      .write = write,
      .attach = attach};
}

} // namespace

const AdapterType& prompt_tuning_type() {
  static const AdapterType type = prompt_type(
      "PROMPT_TUNING", "prompt tuning", read_prompt, write_prompt_tuning, attach_prompt);
  return type;
}

const AdapterType& p_tuning_type() {
  static const AdapterType type =
      prompt_type("P_TUNING", "P-tuning", read_p_tuning, write_p_tuning, attach_p_tuning);
  return type;
}

void check_prompt(const AdapterConfig& config) {
  check_field(
      "num_virtual_tokens", static_cast<double>(config.prompt.num_virtual_tokens), 1, 1 << 20);
  check_field(
      "encoder_hidden_size", static_cast<double>(config.prompt.encoder_hidden_size), 0, 1 << 24);
  check_field(
      "encoder_num_layers", static_cast<double>(config.prompt.encoder_num_layers), 1, 1 << 10);
}

void read_prompt(const ConfigFile& file, AdapterConfig& config) {
  config.prompt.num_virtual_tokens = file.fields.required<std::int64_t>("num_virtual_tokens");
  config.prompt.encoder_hidden_size = file.fields.optional<std::int64_t>("encoder_hidden_size", 0);
  const auto parts = file.fields.optional<std::int64_t>("num_transformer_submodules", 1);
  ERRATA_CHECK(
      parts == 1,
      ErrorCode::kUnsupported,
      file.fields.where(),
      ": num_transformer_submodules is ",
      parts,
      "; a decoder has 1");
}

void write_prompt(const AdapterConfig& config, OrderedJson& json) {
  json["num_virtual_tokens"] = config.prompt.num_virtual_tokens;
  json["num_transformer_submodules"] = 1;
}

std::vector<std::int64_t> start_tokens(
    const AdapterConfig& config, std::int64_t vocab_size, torch::Generator& generator) {
  const auto count = static_cast<std::size_t>(config.prompt.num_virtual_tokens);
  std::vector<std::int64_t> tokens;
  if (config.prompt.init_tokens.empty()) {
    const torch::Tensor random =
        torch::randint(vocab_size, {config.prompt.num_virtual_tokens}, generator, torch::kInt64);
    tokens.assign(random.data_ptr<std::int64_t>(), random.data_ptr<std::int64_t>() + count);
  }
  while (tokens.size() < count) {
    const std::int32_t token =
        config.prompt.init_tokens[tokens.size() % config.prompt.init_tokens.size()];
    ERRATA_CHECK(
        token >= 0 && token < vocab_size,
        ErrorCode::kInvalidArgument,
        "the prompt's start has token ",
        token,
        "; the model has ",
        vocab_size);
    tokens.push_back(token);
  }
  return tokens;
}

} // namespace errata::peft
