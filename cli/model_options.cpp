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
  return options;
}

AdaptedModel load_adapted_model(const ModelOptions& options, const CommonOptions& common) {
  LoadOptions load;
  load.device = parse_device(common.device);
  load.dtype = parse_dtype(common.dtype, load.device);
  load.hash = false;
  AdaptedModel adapted;
  adapted.model = load_model(options.model, load);
  for (const std::string& directory : options.adapters) {
    adapted.adapters.push_back(peft::load_adapter(adapted.model.decoder, directory));
  }
  return adapted;
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
