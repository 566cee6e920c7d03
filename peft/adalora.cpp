#include "peft/adalora.h"

#include "core/base/error.h"
#include "peft/attached_adapter.h"
#include "peft/config_file.h"
#include "peft/lora.h"
#include "peft/lora_function.h"
#include "peft/trained_parameters.h"

#include <algorithm>
#include <cmath>

namespace errata::peft {
namespace {

constexpr std::string_view kTripletSuffix = ".lora_E";

void check_adalora(const AdapterConfig& config) {
  const AdaLoraConfig& ada = config.adalora;
  constexpr double kLargestRank = 1 << 20;
  check_field("init_r", static_cast<double>(ada.init_r), 1, kLargestRank);
  check_field("target_r", static_cast<double>(ada.target_r), 0, static_cast<double>(ada.init_r));
  check_field("tinit", static_cast<double>(ada.tinit), 0, 1e12);
  check_field("tfinal", static_cast<double>(ada.tfinal), 0, 1e12);
  check_field("deltaT", static_cast<double>(ada.delta_t), 1, 1e12);
  check_field("beta1", ada.beta1, 1e-9, 1 - 1e-9);
  check_field("beta2", ada.beta2, 1e-9, 1 - 1e-9);
  check_field("orth_reg_weight", ada.orth_reg_weight, 0, 1e9);
  check_field("lora_alpha", config.lora_alpha, -1e9, 1e9);
  check_dropout("lora_dropout", config.lora_dropout);
}

void read_kept(const ConfigFile& file, AdapterConfig& config) {
  const char* const name = "rank_pattern";
  if (file.fields.is_null(name)) {
    return;
  }
  const Json& pattern = *file.fields.find(name);
  const auto is_list_of_bools = [](const Json& value) {
    return value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& entry) {
             return entry.is_boolean();
           });
  };
  ERRATA_CHECK(
      pattern.is_object() && std::all_of(pattern.begin(), pattern.end(), is_list_of_bools),
      ErrorCode::kCorrupt,
      file.fields.where(),
      ": field 'rank_pattern' is not an object of module names and lists of true and false");
  for (const auto& [key, value] : pattern.items()) {
    ERRATA_CHECK(
        key.ends_with(kTripletSuffix) &&
            value.size() == static_cast<std::size_t>(config.adalora.init_r),
        ErrorCode::kCorrupt,
        file.fields.where(),
        ": field 'rank_pattern', entry '",
        key,
        "'; expected a module's .lora_E and ",
        config.adalora.init_r,
        " entries (init_r)");
    config.adalora.kept[key.substr(0, key.size() - kTripletSuffix.size())] =
        value.get<std::vector<bool>>();
  }
}

void read_adalora(const ConfigFile& file, AdapterConfig& config) {
  const JsonFields& fields = file.fields;
  AdaLoraConfig& ada = config.adalora;
  config.lora_alpha = fields.optional<double>("lora_alpha", 8.0);
  config.lora_dropout = fields.optional<double>("lora_dropout", 0.0);
  ada.target_r = fields.optional<std::int64_t>("target_r", 8);
  ada.init_r = fields.optional<std::int64_t>("init_r", 12);
  ada.tinit = fields.optional<std::int64_t>("tinit", 0);
  ada.tfinal = fields.optional<std::int64_t>("tfinal", 0);
  ada.delta_t = fields.optional<std::int64_t>("deltaT", 1);
  ada.beta1 = fields.optional<double>("beta1", 0.85);
  ada.beta2 = fields.optional<double>("beta2", 0.85);
  ada.orth_reg_weight = fields.optional<double>("orth_reg_weight", 0.5);
  ada.total_step = fields.optional<std::int64_t>("total_step", 0);
  read_kept(file, config);
}

void write_adalora(const AdapterConfig& config, OrderedJson& json) {
  const AdaLoraConfig& ada = config.adalora;
  json["lora_alpha"] = plain_number(config.lora_alpha);
  json["lora_dropout"] = config.lora_dropout;
  json["target_r"] = ada.target_r;
  json["init_r"] = ada.init_r;
  json["tinit"] = ada.tinit;
  json["tfinal"] = ada.tfinal;
  json["deltaT"] = ada.delta_t;
  json["beta1"] = ada.beta1;
  json["beta2"] = ada.beta2;
  json["orth_reg_weight"] = ada.orth_reg_weight;
  // PEFT refuses to build the adapter, even to run it only, without a number above tinit + tfinal.
  json["total_step"] = std::max(ada.total_step, ada.tinit + ada.tfinal + 1);
  json["rank_pattern"] = nullptr;
  for (const auto& [module, kept] : ada.kept) {
    json["rank_pattern"][concat(module, kTripletSuffix)] = kept;
  }
  json["init_lora_weights"] = true;
}

// By the rank at the beginning, also after pruning and reading (PEFT's ranknum).
double adalora_scale(const AdapterConfig& config) {
  const auto rank = static_cast<double>(config.adalora.init_r);
  return (config.lora_alpha > 0 ? config.lora_alpha : rank) / (rank + 1e-5);
}

std::int64_t kept_rank(const AdapterConfig& config, const std::string& module) {
  const auto found = config.adalora.kept.find(module);
  return found == config.adalora.kept.end()
             ? config.adalora.init_r
             : std::count(found->second.begin(), found->second.end(), true);
}

std::unique_ptr<Adapter> attach_adalora(
    Decoder& model,
    AdapterConfig config,
    const std::vector<std::string>& modules,
    Start start,
    std::uint64_t seed) {
  constexpr double kDeviation = 0.02;
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  auto parts = make_parts(model, modules, [&](const std::string& module, const Adaptable& linear) {
    const std::int64_t rank = kept_rank(config, module);
    const auto leaf = [&](torch::Tensor value) {
      return value.to(linear->weight.device()).requires_grad_(true);
    };
    const auto factor = [&](std::int64_t rows, std::int64_t columns) {
      return start == Start::kFromFile
                 ? torch::empty({rows, columns}, linear->weight.device())
                 : torch::empty({rows, columns}).normal_(0, kDeviation, generator);
    };
    const torch::Tensor a = factor(rank, linear->weight.size(1));
    const torch::Tensor b = factor(linear->weight.size(0), rank);
    return std::make_shared<AdaLoraAttachment>(
        leaf(a),
        leaf(b),
        leaf(torch::zeros({rank, 1}, linear->weight.device())),
        adalora_scale(config),
        config.lora_dropout);
  });
  return with_trained_parameters(model, std::move(config), std::move(parts), start);
}

} // namespace

const AdapterType& adalora_type() {
  static const AdapterType type{
      .peft_type = "ADALORA",
      .name = "AdaLoRA",
      .shared_tensors = {},
      .bias_of_targets = "lora_only",
      .default_targets = lora_type().default_targets,
      .check = check_adalora,
      .read = read_adalora,
      .keys =
          {"r", // ignored, as in PEFT
           "lora_alpha",
           "lora_dropout",
           "target_r",
           "init_r",
           "tinit",
           "tfinal",
           "deltaT",
           "beta1",
           "beta2",
           "orth_reg_weight",
           "total_step",
           "rank_pattern",
           "init_lora_weights"},
      .write = write_adalora,
      .attach = attach_adalora};
  return type;
}

AdaLoraAttachment::AdaLoraAttachment(
    torch::Tensor a, torch::Tensor b, torch::Tensor e, double scale, double dropout)
    : a_(std::move(a)), b_(std::move(b)), e_(std::move(e)), scale_(scale), dropout_(dropout) {}

NamedTensors AdaLoraAttachment::named_tensors() const {
  return {{"lora_A", a_}, {"lora_B", b_}, {"lora_E", e_}};
}

torch::Tensor AdaLoraAttachment::branch(const torch::Tensor& x, const torch::Tensor& y) {
  return lora_forward(x, y, a_ * e_, b_, weight * scale_, dropout_);
}

torch::Tensor AdaLoraAttachment::change() const {
  return torch::mm(b_, a_ * e_).mul_(scale_);
}

std::unique_ptr<Adapter> drop_pruned(
    Decoder& model, std::unique_ptr<Adapter> adapter, const AdaLoraConfig& schedule) {
  const torch::NoGradGuard no_grad;
  AdapterConfig config = adapter->config();
  config.adalora = schedule;
  std::vector<std::string> modules; // without those of which only copies are trained
  std::map<std::string, torch::Tensor> values;
  for (const auto& [name, tensor] : adapter->named_parameters()) {
    values[name] = tensor.detach().clone();
    if (name.ends_with(kTripletSuffix)) {
      modules.push_back(name.substr(0, name.size() - kTripletSuffix.size()));
    }
  }
  std::map<std::string, torch::Tensor> left;
  for (const std::string& module : modules) {
    const torch::Tensor kept = values[module + ".lora_E"].flatten().ne(0);
    const torch::Tensor indices = kept.nonzero().flatten();
    left[module] = indices;
    const torch::Tensor on_cpu = kept.to(torch::kCPU);
    std::vector<bool>& list = config.adalora.kept[module];
    list.assign(static_cast<std::size_t>(on_cpu.size(0)), false);
    for (std::int64_t i = 0; i < on_cpu.size(0); ++i) {
      list[static_cast<std::size_t>(i)] = on_cpu[i].item<bool>();
    }
  }
  adapter.reset();
  auto pruned = attach_adalora(model, std::move(config), modules, Start::kFromFile, /*seed=*/0);
  for (auto& [name, tensor] : pruned->named_parameters()) {
    const bool factor = name.find(".lora_") != std::string::npos;
    const torch::Tensor& indices = left[name.substr(0, name.rfind('.'))];
    tensor.detach().copy_(
        factor ? values[name].index_select(name.ends_with("lora_B") ? 1 : 0, indices)
               : values[name]);
  }
  return pruned;
}

} // namespace errata::peft
