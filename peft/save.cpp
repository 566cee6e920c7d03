#include "core/base/error.h"
#include "core/base/files.h"
#include "core/safetensors.h"
#include "core/version.h"
#include "peft/adapter.h"
#include "peft/adapter_config.h"
#include "peft/adapter_types.h"
#include "peft/attachment.h"
#include "peft/staged_directory.h"

#include <algorithm>
#include <cstring>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

// True for a tensor below a module; others carry their complete names.
bool is_of_module(const std::string& name, const std::vector<std::string>& modules) {
  return std::any_of(modules.begin(), modules.end(), [&](const std::string& module) {
    return name.starts_with(module + ".");
  });
}

NamedTensors complete_names(const Adapter& adapter) {
  const AdapterType* const type = find_adapter_type(adapter.config().peft_type);
  const bool peft = type != nullptr && !type->own; // a DELTA is no type of PEFT's either
  const std::vector<std::string> modules = adapter.modules();
  NamedTensors tensors;
  for (const auto& [name, tensor] : adapter.file_tensors()) {
    ERRATA_CHECK(
        torch::isfinite(tensor).all().item<bool>(),
        ErrorCode::kInternal,
        "adapter tensor ",
        name,
        " is not finite; the training diverged, lower the learning rate");
    tensors.emplace_back(
        peft && is_of_module(name, modules) ? kPeftPrefix + name : name,
        tensor.detach().to(torch::kCPU).contiguous());
  }
  return tensors;
}

bool same_bytes(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         std::memcmp(a.const_data_ptr(), b.contiguous().const_data_ptr(), a.nbytes()) == 0;
}

// Reads back what was written: a file system that loses bytes must not go unnoticed.
void check_written(const fs::path& directory, const Adapter& adapter, const NamedTensors& tensors) {
  const AdapterConfig config = read_adapter_config(directory / kConfigFile);
  const SafetensorsFile file(directory / kTensorFile);
  bool same = format_adapter_config(config) == format_adapter_config(adapter.file_config()) &&
              file.names().size() == tensors.size();
  for (const auto& [name, tensor] : tensors) {
    same = same && file.has(name) && same_bytes(tensor, file.tensor(name));
  }
  ERRATA_CHECK(
      same,
      ErrorCode::kInternal,
      "self-check: the adapter read back from ",
      directory.string(),
      " differs from the one in memory; nothing was kept");
}

} // namespace

void save_adapter(
    const Adapter& adapter,
    const fs::path& directory,
    const std::map<std::string, std::string>& metadata) {
  const NamedTensors tensors = complete_names(adapter);
  std::map<std::string, std::string> provenance = metadata;
  provenance.emplace("errata.version", build_info().version);
  StagedDirectory staged(directory);
  save_safetensors(staged.path() / kTensorFile, tensors, std::move(provenance));
  write_file(staged.path() / kConfigFile, format_adapter_config(adapter.file_config()));
  check_written(staged.path(), adapter, tensors);
  staged.commit_into(kConfigFile);
}

} // namespace errata::peft
