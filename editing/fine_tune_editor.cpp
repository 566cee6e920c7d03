#include "editing/fine_tune_editor.h"

#include "core/base/error.h"
#include "core/base/resources.h"
#include "editing/edit_session.h"
#include "editing/gradient_editing.h"
#include "editing/null_space.h"
#include "peft/attached_adapter.h"

#include <algorithm>

namespace errata::editing {
namespace {

std::int64_t first_layer(const Decoder& model, const std::vector<std::string>& modules) {
  std::int64_t first = model->config().num_layers();
  for (const std::string& module : modules) {
    first = std::min(first, peft::layer_of(module));
  }
  return first;
}

} // namespace

std::vector<std::string> FineTuneEditor::modules(
    const Decoder& model, const EditorOptions& options) const {
  std::vector<std::string> matched = peft::match_targets(model, adapter_config(model, options));
  const auto linears = model->linears();
  for (const std::string& module : matched) {
    ERRATA_CHECK(
        std::any_of(
            linears.begin(),
            linears.end(),
            [&](const auto& linear) { return linear.first == module; }),
        ErrorCode::kInvalidArgument,
        "--method ",
        options.method,
        " trains linear layers of the blocks; ",
        module,
        " is none: use --method lora, with --modules-to-save for the whole of it");
  }
  return matched;
}

std::int64_t FineTuneEditor::trainable_parameters(
    const Decoder& model, const EditorOptions& options) const {
  return weight_count(model, modules(model, options));
}

EditResult FineTuneEditor::edit(
    Decoder& model,
    const EditInput& input,
    const EditorOptions& options,
    const ProgressCallback& progress) const {
  validate(options);
  EditResult result;
  result.report.modules = modules(model, options);
  const auto projections = null_projections(model, result.report.modules, input, options);
  EditSession session(model);
  ParameterGroup group{{}, optimizer_options(options, model->compute_dtype())};
  for (const std::string& module : result.report.modules) {
    group.parameters.emplace_back(module, session.open(module));
  }
  {
    Trainer trainer(model, {group}, train_options(options));
    trainer.set_first_layer(first_layer(model, result.report.modules));
    trainer.set_base_switch([&](bool base) { session.show_base(base); });
    if (!projections.empty()) {
      trainer.add_hook(std::make_unique<NullSpace>(trainer.parameters(), projections));
    }
    result.report.training = train_on(trainer, input, options, progress);
  }
  const std::vector<NamedTensor> deltas = session.deltas();
  session.rollback();
  result.adapter = attach_difference(model, deltas, options);
  result.report.peak_rss_bytes = peak_rss_bytes();
  return result;
}

} // namespace errata::editing
