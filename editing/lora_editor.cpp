#include "editing/lora_editor.h"

#include "core/base/error.h"
#include "core/base/resources.h"
#include "editing/edit_session.h"
#include "editing/gradient_editing.h"
#include "editing/null_space.h"

#include <cmath>
#include <string_view>

namespace errata::editing {
namespace {

constexpr std::string_view kA = ".lora_A.weight";

bool is_a(const std::string& name) {
  return name.size() > kA.size() && name.ends_with(kA);
}

// The projections of modules by the names of their A.
std::map<std::string, torch::Tensor> by_a(
    const std::vector<NamedTensor>& parameters,
    const std::map<std::string, torch::Tensor>& projections) {
  std::map<std::string, torch::Tensor> by_name;
  for (const auto& [name, parameter] : parameters) {
    const auto found =
        is_a(name) ? projections.find(name.substr(0, name.size() - kA.size())) : projections.end();
    if (found != projections.end()) {
      by_name.emplace(name, found->second);
    }
  }
  return by_name;
}

// Projects each A into the soft null space of its inputs and gives it the standard deviation
// 1/sqrt(in) that the learning rate is tuned for.
void prepare_a(
    const std::vector<NamedTensor>& parameters,
    const std::map<std::string, torch::Tensor>& projections) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters) {
    if (!is_a(name)) {
      continue;
    }
    torch::Tensor a = parameter.detach();
    if (const auto found = projections.find(name); found != projections.end()) {
      a.copy_(torch::mm(a, found->second));
    }
    a.mul_(1.0 / std::sqrt(static_cast<double>(a.size(1))) / a.std());
  }
}

} // namespace

std::vector<std::string> LoraEditor::modules(
    const Decoder& model, const EditorOptions& options) const {
  return peft::match_targets(model, adapter_config(model, options));
}

std::int64_t LoraEditor::trainable_parameters(
    const Decoder& model, const EditorOptions& options) const {
  std::int64_t count = 0;
  for (const auto& [out, in] : module_shapes(model, modules(model, options))) {
    count += options.rank * (out + in);
  }
  return count;
}

EditResult LoraEditor::edit(
    Decoder& model,
    const EditInput& input,
    const EditorOptions& options,
    const ProgressCallback& progress) const {
  validate(options);
  EditResult result;
  result.report.modules = modules(model, options);
  const auto projections = null_projections(model, result.report.modules, input, options);
  EditSession session(model);
  peft::Adapter& adapter =
      session.adopt(peft::attach_lora(model, adapter_config(model, options), options.seed));
  const std::vector<NamedTensor> parameters = adapter.named_parameters();
  const auto projections_of_a = by_a(parameters, projections);
  if (input.start.empty()) {
    prepare_a(parameters, projections_of_a);
  } else {
    set_values(adapter, input.start);
  }
  Trainer trainer(
      model,
      {{parameters, optimizer_options(options, model->compute_dtype())}},
      train_options(options));
  trainer.set_first_layer(adapter.first_layer());
  trainer.set_base_switch([&](bool base) { session.show_base(base); });
  if (!projections_of_a.empty()) {
    trainer.add_hook(std::make_unique<NullSpace>(trainer.parameters(), projections_of_a));
  }
  result.report.training = train_on(trainer, input, options, progress);
  result.report.peak_rss_bytes = peak_rss_bytes();
  result.adapter = std::move(session.commit().front());
  return result;
}

} // namespace errata::editing
