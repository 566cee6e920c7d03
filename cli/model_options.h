#pragma once

#include "cli/command.h"
#include "core/model.h"
#include "peft/adapter.h"

#include <memory>
#include <string>
#include <vector>

namespace errata::cli {

/// --model DIR, --adapter DIR (repeatable) and --adapter-weight.
struct ModelOptions {
  std::string model;
  std::vector<std::string> adapters;
  std::vector<double> weights; ///< one an adapter, or none: 1
};

/// Adds them; --model is required.
std::shared_ptr<ModelOptions> add_model_options(CLI::App& command);

/// A model with its adapters attached, all of them active.
struct AdaptedModel {
  Model model;
  std::vector<std::unique_ptr<peft::Adapter>> adapters; ///< go before the decoder they hang on
};

/// `hash`: with the hash of the weights, which takes a pass over the files.
AdaptedModel load_adapted_model(
    const ModelOptions& options, const CommonOptions& common, bool hash = false);

/// Loads the adapters of `options` with their weights onto a model that has none.
void attach_adapters(AdaptedModel& adapted, const ModelOptions& options, bool enabled);

/// The model's tokenizer; an error that names the missing file when it has none.
const Tokenizer& require_tokenizer(const Model& model);

} // namespace errata::cli
