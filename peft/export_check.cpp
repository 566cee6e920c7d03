#include "peft/export_check.h"

#include "core/base/error.h"
#include "core/base/hash.h"

#include <algorithm>

namespace errata::peft {
namespace {

constexpr double kTolerance = 1e-4;

} // namespace

Model load_for_check(const std::filesystem::path& directory, torch::Device device, bool hash) {
  LoadOptions load;
  load.device = device;
  load.dtype = torch::kFloat32;
  load.hash = hash;
  return load_model(directory, load);
}

double largest_difference(const torch::Tensor& before, const torch::Tensor& after) {
  return (before - after).abs().max().item<double>();
}

void compare(const torch::Tensor& before, const torch::Tensor& after, SelfCheck& check) {
  const double difference = largest_difference(before, after);
  check.positions = before.numel();
  check.tolerance = kTolerance;
  check.max_difference = std::max(check.max_difference, difference);
  // Not "greater": a difference that is not a number must not pass.
  ERRATA_CHECK(
      difference <= kTolerance,
      ErrorCode::kInternal,
      "self-check: log-probabilities of the export differ from the adapted model's by up to ",
      difference,
      ", more than ",
      kTolerance,
      "; nothing was written");
}

std::vector<ExportedFile> list_files(const std::filesystem::path& directory) {
  std::vector<ExportedFile> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    files.push_back(
        {entry.path().filename().string(), entry.file_size(), sha256_file(entry.path())});
  }
  std::sort(
      files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

} // namespace errata::peft
