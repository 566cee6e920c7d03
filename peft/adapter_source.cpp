#include "peft/adapter_source.h"

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/safetensors.h"
#include "peft/adapter_config.h"
#include "peft/adapter_hub.h"
#include "peft/gguf_adapter.h"
#include "peft/gguf_file.h"
#include "peft/mlx_adapter.h"

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

// Whose adapter_config.json it is, by the keys that only that program writes: mlx-lm has two, the
// first of which is younger.
AdapterKind kind_of_config(const fs::path& path) {
  const Json json = read_json(path);
  const auto has = [&](const char* key) { return json.contains(key); };
  if (!json.is_object() || has("peft_type") || has("errata_type")) {
    return AdapterKind::kDirectory;
  }
  if (has("fine_tune_type") || has("lora_parameters")) {
    return AdapterKind::kMlx;
  }
  return has("config") || has("architecture") || has("mh_adapter") ? AdapterKind::kHub
                                                                   : AdapterKind::kDirectory;
}

const char* tensor_file_of(AdapterKind kind) {
  return kind == AdapterKind::kMlx   ? kMlxTensorFile
         : kind == AdapterKind::kHub ? kHubTensorFile
                                     : kTensorFile;
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
    const AdapterKind kind = kind_of_config(config);
    return {kind, config, path / tensor_file_of(kind)};
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
