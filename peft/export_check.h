#pragma once

#include "core/model.h"
#include "core/torch.h"
#include "peft/export.h"

#include <filesystem>
#include <vector>

namespace errata::peft {

/// A model for the self-check of an export. Always float32: the check is to see the rounding of the
/// weights, not that of the activations.
Model load_for_check(const std::filesystem::path& directory, torch::Device device, bool hash);

double largest_difference(const torch::Tensor& before, const torch::Tensor& after);

/// Adds what `after` differs from `before` to the check, and fails (`kInternal`) when it is more
/// than the tolerance that docs/formats states: float32 sums differ in their order only.
void compare(const torch::Tensor& before, const torch::Tensor& after, SelfCheck& check);

/// The files of a directory by name.
std::vector<ExportedFile> list_files(const std::filesystem::path& directory);

} // namespace errata::peft
