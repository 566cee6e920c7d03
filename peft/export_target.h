#pragma once

#include <filesystem>
#include <vector>

namespace errata::peft {

/// Refuses an `out` that exists and is not empty (`kInvalidArgument`), unless `force` is set and it
/// holds an earlier export; in any case one that is, or contains, one of `inputs`.
void check_export_target(
    const std::filesystem::path& out, const std::vector<std::filesystem::path>& inputs, bool force);

/// The same for a single GGUF file: an older one is replaced when `force` is set, anything else
/// never.
void check_export_file(
    const std::filesystem::path& out, const std::vector<std::filesystem::path>& inputs, bool force);

/// Copies what a model directory holds beside its weights: configs, tokenizer, chat template.
void copy_model_files(const std::filesystem::path& from, const std::filesystem::path& to);

} // namespace errata::peft
