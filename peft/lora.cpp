#include "peft/lora.h"

#include "peft/attached_adapter.h"
#include "peft/config_file.h"
#include "peft/dora.h"
#include "peft/lora_function.h"
#include "peft/lora_start.h"
#include "peft/targets.h"
#include "peft/trained_parameters.h"

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

// Their file holds where they started, too.
bool doubles_rank(LoraInit init) {
  return init == LoraInit::kPissa || init == LoraInit::kOlora;
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
  config.ensure_weight_tying = fields.optional<bool>("ensure_weight_tying", false);
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

LowRank empty_factors(const AdaptableImpl& module, std::int64_t rank) {
  const auto [out, in] = matrix_shape(module);
  const auto leaf = [&](std::int64_t rows, std::int64_t columns) {
    return torch::empty({rows, columns}, module.weight.device()).requires_grad_(true);
  };
  return {leaf(rank, in), leaf(out, rank)};
}

// As PEFT starts those of tables, whatever the others' start: A = 0, B ~ N(0, 1).
LoraStart start_on_table(
    const AdapterConfig& config,
    const AdaptableImpl& table,
    std::int64_t rank,
    torch::Generator& generator) {
  const auto [out, in] = matrix_shape(table);
  const torch::Device device = table.weight.device();
  const auto zero = [&](std::int64_t rows, std::int64_t columns) {
    return torch::zeros({rows, columns}, device);
  };
  LoraStart start;
  start.factors.a = zero(rank, in).requires_grad_(true);
  start.factors.b =
      torch::empty({out, rank}).normal_(0, 1, generator).to(device).requires_grad_(true);
  if (doubles_rank(config.init)) {
    start.from = {zero(rank, in), zero(out, rank)};
  }
  return start;
}

std::unique_ptr<Adapter> attach_lora(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& modules,
    Start start,
    std::uint64_t seed) {
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  const auto values = [&](const AdaptableImpl& target, std::int64_t rank, double scale) {
    if (start == Start::kFromFile) {
      return LoraStart{empty_factors(target, rank), {}};
    }
    return is_table(target) ? start_on_table(config, target, rank, generator)
                            : start_lora(config, target.weight, rank, scale, generator);
  };
  const MakeAttachment make = [&](const std::string& module, const Adaptable& target) {
    const double scale = module_scale(config, module);
    LoraStart begun = values(*target, module_rank(config, module), scale);
    std::shared_ptr<Attachment> made;
    if (config.use_dora) {
      made = std::make_shared<DoraAttachment>(
          target, std::move(begun.factors), scale, config.lora_dropout, start);
    } else {
      made = std::make_shared<LoraAttachment>(
          std::move(begun.factors),
          scale,
          config.lora_dropout,
          std::move(begun.from),
          is_table(*target));
    }
    return made;
  };
  auto parts = make_parts(model, modules, make);
  return with_trained_parameters(model, std::move(config), std::move(parts), start);
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
      .bias_of_targets = "lora_only",
      .adapts_tables = true,
      .default_targets = lora_targets,
      .check = check_lora,
      .read = read_lora,
      .keys =
          {"r",
           "lora_alpha",
           "lora_dropout",
           "use_rslora",
           "use_dora",
           "ensure_weight_tying",
           "init_lora_weights",
           "rank_pattern",
           "alpha_pattern"},
      .write = write_lora,
      .attach = attach_lora};
  return type;
}

NamedTensors named_factors(const LowRank& factors, bool table) {
  return table ? NamedTensors{{"lora_embedding_A", factors.a}, {"lora_embedding_B", factors.b}}
               : NamedTensors{{"lora_A.weight", factors.a}, {"lora_B.weight", factors.b}};
}

LoraAttachment::LoraAttachment(
    LowRank factors, double scale, double dropout, LowRank start, bool table)
    : factors_(std::move(factors)),
      start_(std::move(start)),
      scale_(scale),
      dropout_(dropout),
      table_(table) {}

NamedTensors LoraAttachment::named_tensors() const {
  return named_factors(factors_, table_);
}

NamedTensors LoraAttachment::file_tensors() const {
  return named_factors(all_factors(), table_);
}

LowRank LoraAttachment::all_factors() const {
  if (!start_.a.defined()) {
    return factors_;
  }
  return {torch::cat({factors_.a, start_.a}), torch::cat({factors_.b, -start_.b}, 1)};
}

torch::Tensor LoraAttachment::branch(const torch::Tensor& x, const torch::Tensor& y) {
  const LowRank all = all_factors();
  return table_ ? table_lora_forward(x, y, all.a, all.b, weight * scale_)
                : lora_forward(x, y, all.a, all.b, weight * scale_, dropout_);
}

torch::Tensor LoraAttachment::change() const {
  const LowRank all = all_factors();
  return table_ ? torch::mm(all.a.t(), all.b.t()).mul_(scale_)
                : torch::mm(all.b, all.a).mul_(scale_);
}

AdapterConfig plain_lora(AdapterConfig config) {
  if (doubles_rank(config.init)) {
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
