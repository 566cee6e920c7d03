#include "editing/editor_options.h"

#include "core/base/error.h"
#include "core/base/json.h"
#include "editing/editor.h"
#include "peft/adapter_types.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace errata::editing {
namespace {

void check_range(const char* option, double value, double low, double high) {
  ERRATA_CHECK(
      std::isfinite(value) && value >= low && value <= high,
      ErrorCode::kInvalidArgument,
      option,
      " is ",
      value,
      "; expected a number from ",
      low,
      " to ",
      high);
}

void check_count(const char* option, std::int64_t value, std::int64_t low, std::int64_t high) {
  ERRATA_CHECK(
      value >= low && value <= high,
      ErrorCode::kInvalidArgument,
      option,
      " is ",
      value,
      "; expected a whole number from ",
      low,
      " to ",
      high);
}

void check_init(const EditorOptions& options) {
  constexpr std::array kKnown = {"default", "gaussian", "pissa", "olora", "eva"};
  ERRATA_CHECK(
      std::find(kKnown.begin(), kKnown.end(), options.init) != kKnown.end(),
      ErrorCode::kInvalidArgument,
      "--init '",
      options.init,
      "' is unknown; use default, gaussian, pissa, olora or eva");
  const bool low_rank = options.method == "lora" || options.method == "dora";
  ERRATA_CHECK(
      options.init == "default" || low_rank,
      ErrorCode::kInvalidArgument,
      "--init is how a LoRA starts; --method ",
      options.method,
      " is none");
}

void check_p_tuning(const EditorOptions& options) {
  const std::string& encoder = options.p_tuning_encoder;
  ERRATA_CHECK(
      encoder == "mlp" || encoder == "lstm",
      ErrorCode::kInvalidArgument,
      "--p-tuning-encoder '",
      encoder,
      "' is unknown; use mlp or lstm");
  ERRATA_CHECK(
      encoder == "mlp" || options.method == "p-tuning",
      ErrorCode::kInvalidArgument,
      "--p-tuning-encoder goes with --method p-tuning");
}

// Only adapters of chosen modules have something beside them.
void check_trained_whole(const EditorOptions& options) {
  trained_bias(options);
  const peft::AdapterType* const type =
      peft::find_adapter_type(find_editor(options.method).peft_type);
  const auto& names = options.modules_to_save;
  ERRATA_CHECK(
      names.empty() || (type != nullptr && type->selects_linears),
      ErrorCode::kInvalidArgument,
      "--modules-to-save goes with adapters of chosen modules, not with --method ",
      options.method);
  ERRATA_CHECK(
      std::find(names.begin(), names.end(), "") == names.end(),
      ErrorCode::kInvalidArgument,
      "--modules-to-save has an empty entry");
}

void check_solved(const EditorOptions& options) {
  ERRATA_CHECK(
      options.epochs == 0 && options.optimizer == OptimizerKind::kAdamW && options.anchor == 0,
      ErrorCode::kInvalidArgument,
      "--method ",
      options.method,
      " finds values with Adam in --steps and solves for weights; leave out --epochs, --optimizer "
      "and --anchor");
  ERRATA_CHECK(
      options.target_modules.empty(),
      ErrorCode::kInvalidArgument,
      "--method ",
      options.method,
      " writes into the last matrix of MLPs; choose their --layers, without --target-modules");
  check_count("--edit-wordings", options.edit_wordings, 1, 1000);
  check_count("--contexts", options.contexts, 0, 1000);
  check_range("--clamp", options.clamp, 1e-6, 1e6);
  check_range("--moment-weight", options.moment_weight, 1e-12, 1e12);
  check_range("--null-threshold", options.null_threshold, 1e-300, 1e300);
  check_range("--ridge", options.ridge, 1e-300, 1e300);
}

} // namespace

peft::TrainedBias trained_bias(const EditorOptions& options) {
  const peft::AdapterType* const type =
      peft::find_adapter_type(find_editor(options.method).peft_type);
  const std::optional<peft::TrainedBias> bias =
      type != nullptr          ? peft::parse_trained_bias(*type, options.bias)
      : options.bias == "none" ? std::optional(peft::TrainedBias::kNone)
                               : std::nullopt;
  ERRATA_CHECK(
      bias.has_value(),
      ErrorCode::kInvalidArgument,
      "--bias '",
      options.bias,
      "' is unknown to --method ",
      options.method,
      "; use ",
      type != nullptr ? peft::bias_choices(*type) : "none");
  return *bias;
}

EditorOptions default_options(const std::string& method) {
  EditorOptions options;
  options.method = method;
  find_editor(method).use_recipe(options);
  return options;
}

bool solves(const EditorOptions& options) {
  return find_editor(options.method).kind == EditorKind::kSolvedWeights;
}

bool null_space_acts(const EditorOptions& options) {
  const std::string& type = find_editor(options.method).peft_type;
  return ((type.empty() && !solves(options)) || type == "LORA" || type == "ADALORA") &&
         options.init == "default";
}

void validate(const EditorOptions& options) {
  find_editor(options.method);
  check_count("--rank", options.rank, 1, 65536);
  check_range("--alpha", options.alpha, 0, 1e6);
  check_range("--dropout", options.dropout, 0, 0.99);
  check_range("--lora-plus", options.lora_plus, 1e-6, 1e6);
  check_init(options);
  check_range("--eva-rho", options.eva_rho, 1, 1000);
  check_trained_whole(options);
  check_count("--virtual-tokens", options.virtual_tokens, 1, 65536);
  check_p_tuning(options);
  check_count("--delta-rank", options.delta_rank, 0, 65536);
  check_count("--steps", options.steps, 0, 100'000'000);
  check_count("--epochs", options.epochs, 0, 1'000'000);
  ERRATA_CHECK(
      (options.steps > 0) != (options.epochs > 0),
      ErrorCode::kInvalidArgument,
      options.steps > 0 ? "--steps and --epochs are both given; give one of them"
                        : "neither --steps nor --epochs is positive; give one of them");
  check_count("--batch-tokens", options.batch_tokens, 1, 100'000'000);
  check_count("--batch-size", options.batch_size, 0, 10'000'000);
  ERRATA_CHECK(
      options.batch_size == 0 || options.epochs > 0 || solves(options),
      ErrorCode::kInvalidArgument,
      "--batch-size counts examples of an epoch; use it with --epochs, or --batch-tokens");
  check_count("--micro-tokens", options.micro_tokens, 1, 100'000'000);
  check_range("--lr", options.lr, 1e-12, 100);
  check_range("--weight-decay", options.weight_decay, 0, 100);
  check_count("--warmup", options.warmup, 0, 100'000'000);
  check_range("--grad-clip", options.grad_clip, 0, 1e9);
  check_range("--early-stop", options.early_stop, 0, 1e9);
  check_range("--anchor", options.anchor, 0, 1);
  check_range("--null-space", options.null_space, 0, 1e6);
  ERRATA_CHECK(
      options.null_space == 0 || null_space_acts(options),
      ErrorCode::kInvalidArgument,
      "--null-space keeps a trained A, or weight, out of frequent inputs from its start; --method ",
      options.method,
      options.init == "default" ? " has none"
                                : concat(" with --init ", options.init, " starts in them"),
      "; leave --null-space out");
  check_range("--kl", options.kl, 0, 1e6);
  if (solves(options)) {
    check_solved(options);
  }
}

nlohmann::ordered_json to_json(const EditorOptions& options) {
  OrderedJson json;
  json["method"] = options.method;
  json["target-modules"] = options.target_modules;
  json["layers"] = options.layers;
  json["bias"] = options.bias;
  json["modules-to-save"] = options.modules_to_save;
  json["rank"] = options.rank;
  json["alpha"] = options.alpha > 0 ? options.alpha : 2.0 * static_cast<double>(options.rank);
  json["rslora"] = options.rslora;
  json["dropout"] = options.dropout;
  json["init"] = options.init;
  if (options.init == "eva") {
    json["eva-rho"] = options.eva_rho;
  }
  json["virtual-tokens"] = options.virtual_tokens;
  if (options.method == "p-tuning") {
    json["p-tuning-encoder"] = options.p_tuning_encoder;
  }
  json["lora-plus"] = options.lora_plus;
  json["delta-rank"] = options.delta_rank;
  json["steps"] = options.steps;
  json["epochs"] = options.epochs;
  json["batch-tokens"] = options.batch_tokens;
  json["batch-size"] = options.batch_size;
  json["micro-tokens"] = options.micro_tokens;
  json["optimizer"] = to_string(options.optimizer);
  json["lr"] = options.lr;
  json["weight-decay"] = options.weight_decay;
  json["warmup"] = options.warmup;
  json["schedule"] = to_string(options.schedule);
  json["grad-clip"] = options.grad_clip;
  json["early-stop"] = options.early_stop;
  json["loss-mean"] = options.loss_mean == LossMean::kTokens ? "tokens" : "examples";
  json["anchor"] = options.anchor;
  json["null-space"] = options.null_space;
  json["kl"] = options.kl;
  if (solves(options)) {
    json["edit-wordings"] = options.edit_wordings;
    json["contexts"] = options.contexts;
    json["clamp"] = options.clamp;
    json["moment-weight"] = options.moment_weight;
    json["null-threshold"] = options.null_threshold;
    json["ridge"] = options.ridge;
  }
  json["seed"] = options.seed;
  return json;
}

TrainOptions train_options(const EditorOptions& options) {
  TrainOptions train;
  train.steps = options.steps;
  train.epochs = options.epochs;
  train.batch.batch_tokens = options.batch_tokens;
  train.batch.batch_examples = options.batch_size;
  train.batch.micro_tokens = options.micro_tokens;
  train.batch.seed = options.seed;
  train.schedule.kind = options.schedule;
  train.schedule.warmup = options.warmup;
  train.loss_mean = options.loss_mean;
  train.grad_clip = options.grad_clip;
  train.early_stop = options.early_stop;
  train.kl = options.kl;
  train.seed = options.seed;
  train.checkpoint = options.checkpoint;
  train.context = options.context;
  const OrderedJson all = to_json(options);
  for (const auto& [name, value] : all.items()) {
    train.context.emplace(name, value.dump());
  }
  return train;
}

OptimizerOptions optimizer_options(const EditorOptions& options, torch::Dtype compute_dtype) {
  OptimizerOptions optimizer;
  optimizer.kind = options.optimizer;
  optimizer.lr = options.lr;
  optimizer.weight_decay = options.weight_decay;
  if (options.optimizer == OptimizerKind::kSgd) {
    optimizer.momentum = 0.9;
  }
  optimizer.iteration_dtype = compute_dtype;
  return optimizer;
}

} // namespace errata::editing
