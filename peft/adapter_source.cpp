#include "peft/adapter_source.h"

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/safetensors.h"
#include "peft/adapter_config.h"
#include "peft/gguf_adapter.h"
#include "peft/gguf_file.h"
#include "peft/mlx_adapter.h"

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

// mlx-lm's config holds all arguments of its training program; these two only it writes. The first
// is younger than the second.
bool is_mlx_config(const fs::path& path) {
  const Json json = read_json(path);
  return json.is_object() && !json.contains("peft_type") && !json.contains("errata_type") &&
         (json.contains("fine_tune_type") || json.contains("lora_parameters"));
}

// The one .gguf of a directory; empty when there is none.
fs::path single_gguf(const fs::path& directory) {
  fs::path found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() != ".gguf") {
      continue;
    }
    ERRATA_CHECK(
        found.empty(),
        ErrorCode::kInvalidArgument,
        directory.string(),
        " holds several .gguf files; name one of them");
    found = entry.path();
  }
  return found;
}

} // namespace

std::vector<fs::path> AdapterSource::files() const {
  return config.empty() ? std::vector{tensors} : std::vector{config, tensors};
}

AdapterSource find_adapter(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) {
    ERRATA_CHECK(
        is_gguf_file(path),
        ErrorCode::kCorrupt,
        "adapter ",
        path.string(),
        " is a file, and no GGUF file; expected a directory, or a .gguf file");
    return {AdapterKind::kGguf, {}, path};
  }
  const fs::path config = path / kConfigFile;
  if (fs::is_regular_file(config, ignored)) {
    return is_mlx_config(config)
               ? AdapterSource{AdapterKind::kMlx, config, path / kMlxTensorFile}
               : AdapterSource{AdapterKind::kDirectory, config, path / kTensorFile};
  }
  if (fs::is_directory(path, ignored)) {
    const fs::path gguf = single_gguf(path);
    if (!gguf.empty()) {
      return {AdapterKind::kGguf, {}, gguf};
    }
  }
  return {AdapterKind::kDirectory, config, path / kTensorFile};
}

std::map<std::string, std::string> adapter_metadata(const AdapterSource& source) {
  if (source.kind == AdapterKind::kGguf) {
    return gguf_metadata(source.tensors);
  }
  std::map<std::string, std::string> metadata = SafetensorsFile(source.tensors).metadata();
  std::erase_if(metadata, [](const auto& entry) { return !entry.first.starts_with("errata."); });
  return metadata;
}

} // namespace errata::peft
