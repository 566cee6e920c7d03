#include "editing/adapter_editor.h"

#include "core/base/error.h"
#include "core/base/resources.h"
#include "editing/edit_session.h"
#include "editing/eva.h"
#include "editing/gradient_editing.h"
#include "editing/null_space.h"
#include "peft/adalora.h"
#include "peft/adapter_types.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>

namespace errata::editing {
namespace {

// LoRA's A, and AdaLoRA's.
constexpr std::array<std::string_view, 2> kA = {".lora_A.weight", ".lora_A"};

// The module whose A this is; empty for other tensors.
std::string module_of_a(const std::string& name) {
  for (const std::string_view ending : kA) {
    if (name.ends_with(ending)) {
      return name.substr(0, name.size() - ending.size());
    }
  }
  return {};
}

// The projections of modules by the names of their A.
std::map<std::string, torch::Tensor> by_a(
    const std::vector<NamedTensor>& parameters,
    const std::map<std::string, torch::Tensor>& projections) {
  std::map<std::string, torch::Tensor> by_name;
  for (const auto& [name, parameter] : parameters) {
    const auto found = projections.find(module_of_a(name));
    if (found != projections.end()) {
      by_name.emplace(name, found->second);
    }
  }
  return by_name;
}

// Projects each A into the soft null space of its inputs and gives it the standard deviation that
// the learning rate is tuned for: 1/sqrt(in) for a LoRA, for AdaLoRA what it has.
void project_a(
    const std::vector<NamedTensor>& parameters,
    const std::map<std::string, torch::Tensor>& projections,
    bool keep_deviation) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters) {
    const auto found = projections.find(name);
    if (found == projections.end()) {
      continue; // starts as PEFT starts it
    }
    torch::Tensor a = parameter.detach();
    const double deviation =
        keep_deviation ? a.std().item<double>() : 1.0 / std::sqrt(static_cast<double>(a.size(1)));
    a.copy_(torch::mm(a, found->second));
    a.mul_(deviation / a.std());
  }
}

// The groups of an adapter's parameters: A, B at LoRA+'s rate, and vectors, which Muon cannot
// train.
std::vector<ParameterGroup> parameter_groups(
    const std::vector<NamedTensor>& parameters,
    const EditorOptions& options,
    torch::Dtype compute_dtype) {
  // The rate of vectors beside matrices under Muon, whose own rate means something else.
  constexpr double kVectorRate = 1e-3;
  const OptimizerOptions base = optimizer_options(options, compute_dtype);
  ParameterGroup first{{}, base};
  ParameterGroup second{{}, base};
  ParameterGroup vectors{{}, base};
  ParameterGroup whole{{}, base}; // biases and copies of modules
  second.options.lr *= options.lora_plus;
  vectors.options.lr *= options.lora_plus;
  if (base.kind == OptimizerKind::kMuon) {
    vectors.options.kind = OptimizerKind::kAdamW;
    vectors.options.lr = kVectorRate;
    whole.options = vectors.options;
  }
  for (const NamedTensor& parameter : parameters) {
    const std::string& name = parameter.first;
    const bool a = name.find(".lora_A") != std::string::npos;
    const bool b = name.find(".lora_B") != std::string::npos;
    const bool apart = b && options.lora_plus != 1;
    const bool of_module = !a && !b && (name.ends_with(".weight") || name.ends_with(".bias"));
    (a || (b && !apart) ? first
     : b                ? second
     : of_module        ? whole
                        : vectors)
        .parameters.push_back(parameter);
  }
  std::vector<ParameterGroup> groups;
  for (ParameterGroup* group : {&first, &second, &vectors, &whole}) {
    if (!group->parameters.empty()) {
      groups.push_back(std::move(*group));
    }
  }
  return groups;
}

// An adapter on a decoder without memory: to ask what it would be.
struct AdapterShape {
  AdapterShape(const Decoder& model, const peft::AdapterConfig& config)
      : decoder(model->config(), torch::TensorOptions().device(torch::kMeta)),
        adapter(peft::attach_adapter(decoder, config, /*seed=*/0)) {}

  Decoder decoder;
  std::unique_ptr<peft::Adapter> adapter;
};

// Each A starts as the rows of its module, if there are any.
void start_from_inputs(
    const std::vector<NamedTensor>& parameters,
    const std::map<std::string, torch::Tensor>& directions) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters) {
    const auto found = directions.find(module_of_a(name));
    if (found != directions.end()) {
      parameter.detach().copy_(found->second);
    }
  }
}

// The config of an adapter that starts from these directions.
peft::AdapterConfig config_of_directions(
    peft::AdapterConfig config,
    const std::vector<std::string>& modules,
    const std::map<std::string, torch::Tensor>& directions) {
  std::map<std::string, std::int64_t> ranks;
  for (const auto& [module, rows] : directions) {
    ranks.emplace(module, rows.size(0));
  }
  return with_ranks(std::move(config), modules, ranks);
}

} // namespace

std::vector<std::string> AdapterEditor::modules(
    const Decoder& model, const EditorOptions& options) const {
  peft::AdapterConfig config = adapter_config(model, options);
  const bool more =
      config.trained_bias != peft::TrainedBias::kNone || !config.modules_to_save.empty();
  if (peft::adapter_type(config).selects_linears && !more) {
    return peft::match_targets(model, config);
  }
  config.init = peft::LoraInit::kDefault; // the others look at the weights, in vain here
  return AdapterShape(model, config).adapter->modules();
}

std::int64_t AdapterEditor::trainable_parameters(
    const Decoder& model, const EditorOptions& options) const {
  peft::AdapterConfig config = adapter_config(model, options);
  config.init = peft::LoraInit::kDefault; // the others look at the weights, in vain here
  const AdapterShape shape(model, config);
  std::int64_t count = 0;
  for (const auto& [name, tensor] : shape.adapter->named_parameters()) {
    count += tensor.numel();
  }
  return count;
}

EditResult AdapterEditor::edit(
    Decoder& model,
    const EditInput& input,
    const EditorOptions& options,
    const ProgressCallback& progress) const {
  validate(options);
  const std::vector<std::string> targets = modules(model, options);
  const auto projections = null_projections(model, targets, input, options);
  std::map<std::string, torch::Tensor> directions;
  peft::AdapterConfig config = adapter_config(model, options, input.start);
  if (options.init == "eva" && input.start.empty()) {
    const auto moments = rehearsal_moments(model, targets, input, options);
    directions = eva_directions(targets, moments, options.rank, options.eva_rho);
    config = config_of_directions(std::move(config), targets, directions);
  }
  EditResult result;
  EditSession session(model);
  peft::Adapter& adapter =
      session.adopt(peft::attach_adapter(model, std::move(config), options.seed));
  result.report.modules = adapter.modules();
  const std::vector<NamedTensor> parameters = adapter.named_parameters();
  const auto projections_of_a = by_a(parameters, projections);
  if (!input.start.empty()) {
    set_values(adapter, input.start);
  } else if (options.init == "eva") {
    start_from_inputs(parameters, directions);
  } else if (options.init == "default") {
    project_a(parameters, projections_of_a, /*keep_deviation=*/options.method == "adalora");
  }
  std::optional<peft::AdaLoraConfig> schedule;
  {
    Trainer trainer(
        model,
        parameter_groups(parameters, options, model->compute_dtype()),
        train_options(options));
    trainer.set_first_layer(adapter.first_layer());
    trainer.set_base_switch([&](bool base) { session.show_base(base); });
    if (!projections_of_a.empty()) {
      trainer.add_hook(std::make_unique<NullSpace>(trainer.parameters(), projections_of_a));
    }
    const peft::RankAllocator* allocator = nullptr;
    if (adapter.config().peft_type == "ADALORA") {
      auto hook =
          std::make_unique<peft::RankAllocator>(trainer.parameters(), adapter.config().adalora);
      allocator = hook.get();
      trainer.add_hook(std::move(hook));
    }
    result.report.training = train_on(trainer, input, options, progress);
    if (allocator != nullptr) {
      schedule = allocator->config();
    }
  }
  result.report.peak_rss_bytes = peak_rss_bytes();
  result.adapter = std::move(session.commit().front());
  if (schedule) {
    result.adapter = peft::drop_pruned(model, std::move(result.adapter), *schedule);
  }
  return result;
}

} // namespace errata::editing
