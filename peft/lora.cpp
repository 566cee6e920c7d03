#include "peft/lora.h"

#include "peft/attached_adapter.h"
#include "peft/config_file.h"
#include "peft/dora.h"
#include "peft/lora_function.h"
#include "peft/lora_start.h"
#include "peft/targets.h"

#include <algorithm>
#include <cmath>

namespace errata::peft {
namespace {

void check_lora(const AdapterConfig& config) {
  constexpr double kLargestRank = 1 << 20;
  check_field("LoRA rank", static_cast<double>(config.r), 1, kLargestRank);
  for (const auto& [key, rank] : config.rank_pattern) {
    check_field(
        concat("rank_pattern '", key, "'").c_str(), static_cast<double>(rank), 1, kLargestRank);
  }
  ERRATA_CHECK(
      std::isfinite(config.lora_alpha),
      ErrorCode::kInvalidArgument,
      "lora_alpha is not a finite number");
  check_dropout("lora_dropout", config.lora_dropout);
  ERRATA_CHECK(
      !config.use_dora || config.init == LoraInit::kDefault || config.init == LoraInit::kGaussian,
      ErrorCode::kUnsupported,
      "DoRA with the initialisation of PiSSA or OLoRA; use one of the two");
}

std::vector<std::string> lora_targets(const std::string& model_type) {
  if (model_type == "gpt2") {
    return {"c_attn"};
  }
  return model_type == "recurrent_gemma" ? std::vector<std::string>{}
                                         : std::vector<std::string>{"q_proj", "v_proj"};
}

// Initialisations that change the base weights, which PEFT repeats when it loads the adapter.
void read_initialisation(const JsonFields& fields, AdapterConfig& config) {
  if (fields.is_null("init_lora_weights")) {
    return;
  }
  const Json& value = *fields.find("init_lora_weights");
  const bool plain =
      value.is_boolean() || value == "gaussian" || value == "eva" || value == "orthogonal";
  ERRATA_CHECK(
      plain,
      ErrorCode::kUnsupported,
      fields.where(),
      ": init_lora_weights ",
      value.dump(),
      " changes the base weights; convert the adapter to plain LoRA with PEFT "
      "(save_pretrained with path_initial_model_for_weight_conversion)");
  config.init = value == "gaussian" ? LoraInit::kGaussian : LoraInit::kDefault;
}

void read_lora(const ConfigFile& file, AdapterConfig& config) {
  const JsonFields& fields = file.fields;
  config.r = fields.optional<std::int64_t>("r", 8);
  config.lora_alpha = fields.optional<double>("lora_alpha", 8.0);
  config.lora_dropout = fields.optional<double>("lora_dropout", 0.0);
  config.use_rslora = fields.optional<bool>("use_rslora", false);
  config.use_dora = fields.optional<bool>("use_dora", false);
  read_pattern(file, "rank_pattern", config.rank_pattern);
  read_pattern(file, "alpha_pattern", config.alpha_pattern);
  read_initialisation(fields, config);
}

void write_lora(const AdapterConfig& config, OrderedJson& json) {
  json["r"] = config.r;
  json["lora_alpha"] = plain_number(config.lora_alpha);
  json["lora_dropout"] = config.lora_dropout;
  json["rank_pattern"] = OrderedJson::object();
  for (const auto& [key, rank] : config.rank_pattern) {
    json["rank_pattern"][key] = rank;
  }
  json["alpha_pattern"] = OrderedJson::object();
  for (const auto& [key, alpha] : config.alpha_pattern) {
    json["alpha_pattern"][key] = plain_number(alpha);
  }
  // Old readers do not know these.
  if (config.use_rslora) {
    json["use_rslora"] = true;
  }
  if (config.use_dora) {
    json["use_dora"] = true;
  }
  json["init_lora_weights"] = true;
}

LowRank empty_factors(const torch::Tensor& weight, std::int64_t rank) {
  const auto leaf = [&](std::int64_t rows, std::int64_t columns) {
    return torch::empty({rows, columns}, weight.device()).requires_grad_(true);
  };
  return {leaf(rank, weight.size(1)), leaf(weight.size(0), rank)};
}

std::unique_ptr<Adapter> attach_lora(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& modules,
    Start start,
    std::uint64_t seed) {
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  const auto attachment =
      [&](const std::string& module, const Linear& linear) -> std::
                                                               shared_ptr<Attachment> {
                                                                 const double scale =
                                                                     module_scale(config, module);
                                                                 const std::int64_t rank =
                                                                     module_rank(config, module);
                                                                 LoraStart values = start == Start::kFromFile
                           ? LoraStart{empty_factors(linear->weight, rank), {}}
                           : start_lora(config, linear->weight, rank, scale, generator);
                                                                 if (config.use_dora) {
                                                                   return std::make_shared<
                                                                       DoraAttachment>(
                                                                       linear,
                                                                       std::move(values.factors),
                                                                       scale,
                                                                       config.lora_dropout,
                                                                       start);
                                                                 }
                                                                 return std::make_shared<
                                                                     LoraAttachment>(
                                                                     std::move(values.factors),
                                                                     scale,
                                                                     config.lora_dropout,
                                                                     std::move(values.from));
                                                               };
  auto parts = make_parts(model, modules, attachment);
  return std::make_unique<AttachedAdapter>(std::move(config), std::move(parts));
}

template <typename Value>
void check_pattern(
    const char* field,
    const std::vector<std::pair<std::string, Value>>& pattern,
    const std::vector<std::string>& modules) {
  for (const auto& entry : pattern) {
    const std::string& key = entry.first;
    ERRATA_CHECK(
        std::any_of(
            modules.begin(),
            modules.end(),
            [&](const std::string& module) { return pattern_matches(key, module); }),
        ErrorCode::kInvalidArgument,
        field,
        " '",
        key,
        "' fits none of the ",
        modules.size(),
        " targeted modules; it must match the end of a module's path");
  }
}

} // namespace

const AdapterType& lora_type() {
  static const AdapterType type{
      .peft_type = "LORA",
      .name = "LoRA",
      .shared_tensors = {},
      .default_targets = lora_targets,
      .check = check_lora,
      .read = read_lora,
      .keys =
          {"r",
           "lora_alpha",
           "lora_dropout",
           "use_rslora",
           "use_dora",
           "init_lora_weights",
           "rank_pattern",
           "alpha_pattern"},
      .write = write_lora,
      .attach = attach_lora};
  return type;
}

LoraAttachment::LoraAttachment(LowRank factors, double scale, double dropout, LowRank start)
    : factors_(std::move(factors)), start_(std::move(start)), scale_(scale), dropout_(dropout) {}

NamedTensors LoraAttachment::named_tensors() const {
  return {{"lora_A.weight", factors_.a}, {"lora_B.weight", factors_.b}};
}

NamedTensors LoraAttachment::file_tensors() const {
  const LowRank all = whole();
  return {{"lora_A.weight", all.a}, {"lora_B.weight", all.b}};
}

LowRank LoraAttachment::whole() const {
  if (!start_.a.defined()) {
    return factors_;
  }
  return {torch::cat({factors_.a, start_.a}), torch::cat({factors_.b, -start_.b}, 1)};
}

torch::Tensor LoraAttachment::branch(const torch::Tensor& x, const torch::Tensor& y) {
  const LowRank all = whole();
  return lora_forward(x, y, all.a, all.b, weight * scale_, dropout_);
}

torch::Tensor LoraAttachment::change() const {
  const LowRank all = whole();
  return torch::mm(all.b, all.a).mul_(scale_);
}

AdapterConfig plain_lora(AdapterConfig config) {
  if (config.init == LoraInit::kPissa || config.init == LoraInit::kOlora) {
    // Twice the rank at the same scale: alpha / r, or alpha / sqrt(r).
    const double factor = config.use_rslora ? std::sqrt(2.0) : 2.0;
    config.r *= 2;
    config.lora_alpha *= factor;
    for (auto& [key, rank] : config.rank_pattern) {
      rank *= 2;
    }
    for (auto& [key, alpha] : config.alpha_pattern) {
      alpha *= factor;
    }
    config.init = LoraInit::kDefault;
  }
  return config;
}

void check_patterns(const AdapterConfig& config, const std::vector<std::string>& modules) {
  check_pattern("rank_pattern", config.rank_pattern, modules);
  check_pattern("alpha_pattern", config.alpha_pattern, modules);
}

} // namespace errata::peft
