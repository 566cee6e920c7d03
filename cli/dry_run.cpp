#include "cli/dry_run.h"

#include "cli/output.h"
#include "core/base/json.h"

#include <ostream>

namespace errata::cli {
namespace {

/// Parameters, gradients and optimizer state, in float32.
std::int64_t training_bytes(std::int64_t trainable, const editing::EditorOptions& options) {
  const std::int64_t copies = options.optimizer == OptimizerKind::kAdamW ? 4 : 3;
  return trainable * copies * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t weight_bytes(const Decoder& model) {
  std::int64_t bytes = 0;
  for (const torch::Tensor& parameter : model->parameters()) {
    bytes += static_cast<std::int64_t>(parameter.nbytes());
  }
  return bytes;
}

} // namespace

void print_dry_run(const EditSetup& setup, const Model& model, bool json_asked, std::ostream& out) {
  const auto editor = editing::make_editor(setup.editor.method);
  const auto modules = editor->modules(model.decoder, setup.editor);
  const std::int64_t trainable = editor->trainable_parameters(model.decoder, setup.editor);
  const std::int64_t training = training_bytes(trainable, setup.editor);
  if (json_asked) {
    OrderedJson json = {{"dry_run", true}, {"edits", setup.plan.size()}};
    json["plan"] = OrderedJson::parse(editing::summary_json(setup.plan));
    if (!setup.batches.empty()) {
      json["batches"] = batches_json(setup);
    }
    json["options"] = editing::to_json(setup.editor);
    json["modules"] = modules;
    json["trainable_parameters"] = trainable;
    json["memory"] = {{"weights_bytes", weight_bytes(model.decoder)}, {"training_bytes", training}};
    print_json(out, json);
    return;
  }
  out << plan_text(setup) << "Method     " << setup.editor.method << ", " << trainable
      << " trainable parameters in " << modules.size() << " modules\n";
  if (setup.editor.init == "eva" && setup.editor.eva_rho > 1) {
    out << "             with --rank everywhere; EVA moves ranks to where inputs vary most\n";
  }
  for (const std::string& module : modules) {
    out << "             " << module << '\n';
  }
  out << "Memory     " << megabytes(weight_bytes(model.decoder)) << " weights, "
      << megabytes(training) << " for parameters, gradients and optimizer, and activations of "
      << setup.editor.micro_tokens << " tokens at a time\n";
}

} // namespace errata::cli
