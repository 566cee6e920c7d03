#pragma once

#include "cli/command.h"
#include "core/model.h"
#include "peft/adapter.h"

#include <memory>
#include <string>
#include <vector>

namespace errata::cli {

/// --model DIR and --adapter DIR (repeatable).
struct ModelOptions {
  std::string model;
  std::vector<std::string> adapters;
};

/// Adds both; --model is required.
std::shared_ptr<ModelOptions> add_model_options(CLI::App& command);

/// A model with its adapters attached, all of them active.
struct AdaptedModel {
  Model model;
  std::vector<std::unique_ptr<peft::Adapter>> adapters; ///< go before the decoder they hang on
};

AdaptedModel load_adapted_model(const ModelOptions& options, const CommonOptions& common);

/// The model's tokenizer; an error that names the missing file when it has none.
const Tokenizer& require_tokenizer(const Model& model);

} // namespace errata::cli
