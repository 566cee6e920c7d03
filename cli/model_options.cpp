#include "cli/model_options.h"

#include "core/base/error.h"
#include "core/device.h"

#include <CLI/CLI.hpp>

namespace errata::cli {

std::shared_ptr<ModelOptions> add_model_options(CLI::App& command) {
  auto options = std::make_shared<ModelOptions>();
  command.add_option("--model", options->model, "Model directory in Hugging Face layout")
      ->required();
  command.add_option(
      "--adapter",
      options->adapters,
      "Adapter: a directory (PEFT, mlx-lm, errata) or a .gguf file; several are summed "
      "(repeatable)");
  command.add_option(
      "--adapter-weight",
      options->weights,
      "Factor of each adapter's change, in order (default 1)");
  return options;
}

AdaptedModel load_adapted_model(
    const ModelOptions& options, const CommonOptions& common, bool hash) {
  LoadOptions load;
  load.device = parse_device(common.device);
  load.dtype = parse_dtype(common.dtype, load.device);
  load.hash = hash;
  AdaptedModel adapted;
  adapted.model = load_model(options.model, load);
  attach_adapters(adapted, options, /*enabled=*/true);
  return adapted;
}

void attach_adapters(AdaptedModel& adapted, const ModelOptions& options, bool enabled) {
  ERRATA_CHECK(
      options.weights.empty() || options.weights.size() == options.adapters.size(),
      ErrorCode::kInvalidArgument,
      "--adapter-weight has ",
      options.weights.size(),
      " values for ",
      options.adapters.size(),
      " adapters; give one each");
  for (std::size_t i = 0; i < options.adapters.size(); ++i) {
    adapted.adapters.push_back(peft::load_adapter(adapted.model.decoder, options.adapters[i]));
    adapted.adapters.back()->set_enabled(enabled);
    if (!options.weights.empty()) {
      adapted.adapters.back()->set_weight(options.weights[i]);
    }
  }
}

const Tokenizer& require_tokenizer(const Model& model) {
  if (!model.tokenizer) {
    // Loading says what is missing.
    Tokenizer::load(model.directory);
    ERRATA_FAIL(
        ErrorCode::kInternal, model.directory.string(), ": a tokenizer appeared after loading");
  }
  return *model.tokenizer;
}

} // namespace errata::cli
