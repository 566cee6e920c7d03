#include "peft/ia3.h"

#include "core/base/error.h"
#include "peft/attached_adapter.h"
#include "peft/config_file.h"
#include "peft/targets.h"
#include "peft/trained_parameters.h"

#include <algorithm>

namespace errata::peft {
namespace {

struct Ia3Names {
  std::vector<std::string> targets;
  std::vector<std::string> feedforward;
};

// PEFT 0.21's tables; Gemma 2 and 3, Qwen 3 and RecurrentGemma's MLP follow Gemma's.
Ia3Names ia3_names(const std::string& model_type) {
  if (model_type == "gpt2") {
    return {{"c_attn", "mlp.c_proj"}, {"mlp.c_proj"}};
  }
  if (model_type == "gptj") {
    return {{"q_proj", "v_proj", "fc_out"}, {"fc_out"}};
  }
  if (model_type == "llama" || model_type == "mistral" || model_type.starts_with("qwen")) {
    return {{"k_proj", "v_proj", "down_proj"}, {"down_proj"}};
  }
  if (model_type == "recurrent_gemma") {
    return {};
  }
  return {{"q_proj", "v_proj", "down_proj"}, {"down_proj"}};
}

std::vector<std::string> ia3_targets(const std::string& model_type) {
  return ia3_names(model_type).targets;
}

void check_ia3(const AdapterConfig&) {}

void read_ia3(const ConfigFile& file, AdapterConfig& config) {
  if (!file.fields.is_null("feedforward_modules")) {
    read_names(
        file.fields,
        "feedforward_modules",
        config.feedforward_modules.emplace(),
        config.feedforward_regex);
  }
}

void write_ia3(const AdapterConfig& config, OrderedJson& json) {
  json["feedforward_modules"] = names_json(
      config.feedforward_modules.value_or(std::vector<std::string>()), config.feedforward_regex);
  json["init_ia3_weights"] = true;
}

// PEFT: feed-forward modules must be among the targets.
void check_feedforward(
    const std::vector<std::string>& feedforward, const std::vector<std::string>& modules) {
  for (const std::string& name : feedforward) {
    ERRATA_CHECK(
        std::any_of(
            modules.begin(),
            modules.end(),
            [&](const std::string& module) { return path_ends_in(module, name); }),
        ErrorCode::kInvalidArgument,
        "feedforward_modules '",
        name,
        "' is none of the targeted modules; add it to target_modules");
  }
}

// PEFT wants the feed-forward modules as entries of the list of targets, whatever else would match.
void name_among_targets(AdapterConfig& config) {
  if (config.target_regex || config.feedforward_regex) {
    return;
  }
  std::vector<std::string> entries;
  const std::vector<std::string>& names = *config.feedforward_modules;
  for (const std::string& target : config.target_modules) {
    if (std::any_of(names.begin(), names.end(), [&](const std::string& name) {
          return path_ends_in(target, name);
        })) {
      entries.push_back(target);
    }
  }
  config.feedforward_modules = std::move(entries);
}

std::unique_ptr<Adapter> attach_ia3(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& modules,
    Start start,
    std::uint64_t /*seed*/) {
  const bool named = config.feedforward_modules || config.feedforward_regex;
  std::vector<std::string>& names = config.feedforward_modules
                                        ? *config.feedforward_modules
                                        : config.feedforward_modules.emplace();
  if (!named) {
    // Of the family's feed-forward modules, those that are targets.
    for (const std::string& name : ia3_names(model->config().model_type).feedforward) {
      if (std::any_of(modules.begin(), modules.end(), [&](const std::string& module) {
            return path_ends_in(module, name);
          })) {
        names.push_back(name);
      }
    }
  }
  check_feedforward(names, modules);
  name_among_targets(config);
  AdapterConfig feedforward;
  feedforward.target_modules = names;
  feedforward.target_regex = config.feedforward_regex;
  const TargetMatcher is_feedforward(feedforward);
  auto parts = make_parts(model, modules, [&](const std::string& module, const Adaptable& linear) {
    const bool on_input = is_feedforward.matches(module);
    const auto options = torch::TensorOptions().device(linear->weight.device());
    torch::Tensor gain = on_input ? torch::ones({1, linear->weight.size(1)}, options)
                                  : torch::ones({linear->weight.size(0), 1}, options);
    return std::make_shared<Ia3Attachment>(linear, gain.requires_grad_(true), on_input);
  });
  return with_trained_parameters(model, std::move(config), std::move(parts), start);
}

} // namespace

const AdapterType& ia3_type() {
  static const AdapterType type{
      .peft_type = "IA3",
      .name = "IA3",
      .shared_tensors = {},
      .has_layers = false,
      .default_targets = ia3_targets,
      .check = check_ia3,
      .read = read_ia3,
      .keys = {"feedforward_modules", "init_ia3_weights"},
      .write = write_ia3,
      .attach = attach_ia3};
  return type;
}

Ia3Attachment::Ia3Attachment(Adaptable linear, torch::Tensor gain, bool feedforward)
    : BoundAttachment(std::move(linear)), gain_(std::move(gain)), feedforward_(feedforward) {}

NamedTensors Ia3Attachment::named_tensors() const {
  return {{"ia3_l", gain_}};
}

// In float32: gains near 1 have few digits in half precision.
torch::Tensor Ia3Attachment::scaled(const torch::Tensor& x) const {
  const torch::Tensor gain = gain_.flatten();
  return (x * (weight == 1.0 ? gain : 1.0 + weight * (gain - 1.0))).to(x.scalar_type());
}

torch::Tensor Ia3Attachment::input(const torch::Tensor& x) {
  return scaled(x);
}

torch::Tensor Ia3Attachment::branch(const torch::Tensor& /*x*/, const torch::Tensor& y) {
  return feedforward_ ? y : scaled(y);
}

torch::Tensor Ia3Attachment::change() const {
  return (gain_ - 1.0) * base().weight;
}

torch::Tensor Ia3Attachment::bias_change() const {
  const torch::Tensor bias = base().bias;
  return feedforward_ || !bias.defined() ? torch::Tensor() : (gain_.flatten() - 1.0) * bias;
}

} // namespace errata::peft
