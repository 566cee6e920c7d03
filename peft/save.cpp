#include "core/base/error.h"
#include "core/base/files.h"
#include "core/safetensors.h"
#include "core/version.h"
#include "peft/adapter.h"
#include "peft/adapter_config.h"
#include "peft/staged_directory.h"

#include <cstring>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

NamedTensors file_tensors(const Adapter& adapter) {
  const std::string prefix = adapter.config().peft_type == "LORA" ? kPeftPrefix : "";
  NamedTensors tensors;
  for (const auto& [name, tensor] : adapter.named_parameters()) {
    ERRATA_CHECK(
        torch::isfinite(tensor).all().item<bool>(),
        ErrorCode::kInternal,
        "adapter tensor ",
        name,
        " is not finite; the training diverged, lower the learning rate");
    tensors.emplace_back(prefix + name, tensor.detach().to(torch::kCPU).contiguous());
  }
  return tensors;
}

bool same_bytes(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         std::memcmp(a.const_data_ptr(), b.contiguous().const_data_ptr(), a.nbytes()) == 0;
}

bool same_meaning(const AdapterConfig& a, const AdapterConfig& b, const Adapter& adapter) {
  if (a.peft_type != b.peft_type) {
    return false;
  }
  for (const std::string& module : adapter.modules()) {
    if (module_rank(a, module) != module_rank(b, module) ||
        module_scale(a, module) != module_scale(b, module)) {
      return false;
    }
  }
  return true;
}

// Reads back what was written: a file system that loses bytes must not go unnoticed.
void check_written(const fs::path& directory, const Adapter& adapter, const NamedTensors& tensors) {
  const AdapterConfig config = read_adapter_config(directory / kConfigFile);
  const SafetensorsFile file(directory / kTensorFile);
  bool same =
      same_meaning(config, adapter.config(), adapter) && file.names().size() == tensors.size();
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
  const NamedTensors tensors = file_tensors(adapter);
  std::map<std::string, std::string> provenance = metadata;
  provenance.emplace("errata.version", build_info().version);
  StagedDirectory staged(directory);
  save_safetensors(staged.path() / kTensorFile, tensors, std::move(provenance));
  write_file(staged.path() / kConfigFile, format_adapter_config(adapter.config()));
  check_written(staged.path(), adapter, tensors);
  staged.commit_into(kConfigFile);
}

} // namespace errata::peft
