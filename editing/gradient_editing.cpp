#include "editing/gradient_editing.h"

#include "core/base/error.h"
#include "editing/anchor.h"
#include "editing/eva.h"
#include "editing/example.h"
#include "editing/null_space.h"
#include "peft/adapter_types.h"
#include "peft/bottleneck.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace errata::editing {
namespace {

constexpr std::int64_t kMomentBatches = 24;
constexpr std::int64_t kMomentTokens = 2048;
constexpr std::int64_t kMomentPool = 1024;
// LocFT-BF: the layer at this share of the depth, for families without a published value.
constexpr double kLateLayer = 0.69;
// AdaLoRA: steps between two choices of what is left.
constexpr std::int64_t kPruningInterval = 10;

peft::LoraInit lora_init(const std::string& name) {
  if (name == "gaussian") {
    return peft::LoraInit::kGaussian;
  }
  if (name == "pissa") {
    return peft::LoraInit::kPissa;
  }
  return name == "olora" ? peft::LoraInit::kOlora : peft::LoraInit::kDefault;
}

std::vector<std::int64_t> late_layer(const Decoder& model) {
  const std::int64_t count = model->config().num_layers();
  const auto late =
      static_cast<std::int64_t>(std::llround(kLateLayer * static_cast<double>(count)));
  return {std::min(count - 1, late)};
}

// Modules are not what every method chooses from.
void check_selection(const EditorOptions& options, const peft::AdapterType& type) {
  ERRATA_CHECK(
      type.selects_linears || options.target_modules.empty(),
      ErrorCode::kInvalidArgument,
      "--target-modules names linear layers, which --method ",
      options.method,
      " does not adapt");
  ERRATA_CHECK(
      type.selects_linears || type.has_layers || options.layers.empty(),
      ErrorCode::kInvalidArgument,
      "--layers does not go with --method ",
      options.method,
      ", which has no layers to choose");
}

// The ranks that a LoRA's values have on `modules`: 0 where there are none, nothing where they are
// no pair of matrices (of an embedding).
std::map<std::string, std::int64_t> kept_ranks(
    const std::vector<std::string>& modules, const std::vector<NamedTensor>& values) {
  std::map<std::string, std::int64_t> ranks;
  for (const std::string& module : modules) {
    const bool kept = std::any_of(values.begin(), values.end(), [&](const NamedTensor& value) {
      return value.first.starts_with(module + ".");
    });
    if (!kept) {
      ranks.emplace(module, 0);
    }
  }
  constexpr std::string_view kA = ".lora_A.weight";
  for (const auto& [name, tensor] : values) {
    if (name.ends_with(kA) && tensor.dim() == 2) {
      ranks[name.substr(0, name.size() - kA.size())] = tensor.size(0);
    }
  }
  return ranks;
}

} // namespace

peft::AdapterConfig adapter_config(
    const Decoder& model, const EditorOptions& options, const std::vector<NamedTensor>& values) {
  peft::AdapterConfig config;
  const std::string& peft_type = find_editor(options.method).peft_type;
  config.peft_type = peft_type.empty() ? "LORA" : peft_type; // others only select modules
  check_selection(options, peft::adapter_type(config));
  config.r = options.rank;
  config.lora_alpha = options.alpha > 0 ? options.alpha : 2.0 * static_cast<double>(options.rank);
  config.lora_dropout = options.dropout;
  config.use_rslora = options.rslora;
  config.use_dora = options.method == "dora";
  config.init = lora_init(options.init);
  // As in its paper, pruning starts from one and a half times the rank.
  config.adalora.target_r = options.rank;
  config.adalora.init_r = options.rank + (options.rank + 1) / 2;
  config.adalora.delta_t = kPruningInterval;
  config.prompt.num_virtual_tokens = options.virtual_tokens;
  config.prompt.encoder =
      options.p_tuning_encoder == "lstm" ? peft::PromptEncoder::kLstm : peft::PromptEncoder::kMlp;
  config.adaption.adapter_len = options.virtual_tokens;
  if (config.peft_type == "BOTTLENECK") {
    config.bottleneck = peft::bottleneck_preset(options.method);
    // The bottleneck's width is its rank.
    config.bottleneck.reduction_factor =
        static_cast<double>(model->config().hidden_size) / static_cast<double>(options.rank);
  }
  if (options.target_modules.empty() && options.method == "ia3") {
    // The published choice: PEFT's default for the family.
  } else if (options.target_modules.empty()) {
    config.target_regex = "all-linear";
  } else {
    config.target_modules = options.target_modules;
  }
  config.trained_bias = trained_bias(options);
  config.modules_to_save = options.modules_to_save;
  if (!options.layers.empty()) {
    config.layers_to_transform = peft::parse_layers(options.layers, model->config().num_layers());
  } else if (options.method == "ft-locft") {
    config.layers_to_transform = late_layer(model);
  }
  if (options.init == "eva" && !values.empty()) {
    const std::vector<std::string> modules = peft::match_targets(model, config);
    return with_ranks(config, modules, kept_ranks(modules, values));
  }
  return config;
}

void set_values(const peft::Adapter& adapter, const std::vector<NamedTensor>& values) {
  const torch::NoGradGuard no_grad;
  const std::map<std::string, torch::Tensor> by_name(values.begin(), values.end());
  for (auto& [name, parameter] : adapter.named_parameters()) {
    const auto found = by_name.find(name);
    ERRATA_CHECK(
        found != by_name.end() && found->second.sizes() == parameter.sizes(),
        ErrorCode::kCorrupt,
        "kept adapter: '",
        name,
        "' is missing or of another shape; begin the run again");
    parameter.detach().copy_(found->second);
  }
}

std::map<std::string, InputMoment> rehearsal_moments(
    Decoder& model,
    const std::vector<std::string>& modules,
    const EditInput& input,
    const EditorOptions& options,
    std::int64_t tokens) {
  ERRATA_CHECK(
      input.rehearsal,
      ErrorCode::kInvalidArgument,
      solves(options)          ? concat("--method ", options.method)
      : options.null_space > 0 ? "--null-space"
                               : "--init eva",
      " needs rehearsal documents, from the unchanged facts of a store",
      solves(options) ? ", or --stats-text" : "");
  const std::unique_ptr<DocumentStream> documents = input.rehearsal();
  DocumentExamples examples(*documents, input.tokenizer);
  BatchOptions batch;
  batch.batch_tokens = batch.micro_tokens = kMomentTokens;
  batch.pool = kMomentPool;
  batch.seed = options.seed;
  const auto batches_of = [](std::int64_t all) {
    return (all + kMomentTokens - 1) / kMomentTokens;
  };
  std::int64_t batches = tokens > 0 ? batches_of(tokens) : kMomentBatches;
  if (tokens == 0 && input.rehearsal_tokens > 0) {
    batches = std::min(batches, batches_of(input.rehearsal_tokens));
  }
  return input_moments(model, modules, examples, batch, batches);
}

std::map<std::string, torch::Tensor> null_projections(
    Decoder& model,
    const std::vector<std::string>& modules,
    const EditInput& input,
    const EditorOptions& options) {
  if (options.null_space == 0) {
    return {};
  }
  const auto moments = rehearsal_moments(model, modules, input, options);
  std::map<std::string, torch::Tensor> projections;
  std::map<const void*, torch::Tensor> computed;
  for (const auto& [module, moment] : moments) {
    torch::Tensor& projection = computed[moment.second.unsafeGetTensorImpl()];
    if (!projection.defined()) {
      projection = soft_null_projection(moment.second, options.null_space);
    }
    projections.emplace(module, projection);
  }
  return projections;
}

TrainReport train_on(
    Trainer& trainer,
    const EditInput& input,
    const EditorOptions& options,
    const ProgressCallback& progress) {
  if (options.anchor > 0) {
    trainer.add_hook(std::make_unique<Anchor>(trainer.parameters(), options.anchor));
  }
  if (options.epochs > 0) {
    return trainer.run(make_examples(input.documents_once, input.tokenizer), progress);
  }
  ERRATA_CHECK(
      input.documents, ErrorCode::kInternal, "an edit by steps needs a stream of documents");
  const std::unique_ptr<DocumentStream> documents = input.documents();
  DocumentExamples examples(*documents, input.tokenizer);
  return trainer.run(examples, progress);
}

std::vector<std::pair<std::int64_t, std::int64_t>> module_shapes(
    const Decoder& model, const std::vector<std::string>& modules) {
  std::vector<std::pair<std::int64_t, std::int64_t>> shapes;
  for (const auto& [name, linear] : model->linears()) {
    if (std::find(modules.begin(), modules.end(), name) != modules.end()) {
      shapes.emplace_back(linear->weight.size(0), linear->weight.size(1));
    }
  }
  return shapes;
}

std::int64_t weight_count(const Decoder& model, const std::vector<std::string>& modules) {
  std::int64_t count = 0;
  for (const auto& [out, in] : module_shapes(model, modules)) {
    count += out * in;
  }
  return count;
}

std::unique_ptr<peft::Adapter> attach_difference(
    Decoder& model, const std::vector<NamedTensor>& deltas, const EditorOptions& options) {
  return options.delta_rank > 0 ? peft::attach_truncated_delta(model, deltas, options.delta_rank)
                                : peft::attach_delta(model, deltas);
}

} // namespace errata::editing
