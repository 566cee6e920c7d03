#pragma once

#include "peft/adapter.h"

#include <filesystem>
#include <string>

namespace errata::peft {

inline constexpr const char* kConfigFile = "adapter_config.json";
inline constexpr const char* kTensorFile = "adapter_model.safetensors";
/// What PEFT puts in front of module paths in tensor names.
inline constexpr const char* kPeftPrefix = "base_model.model.";

/// `format` in the config of errata's own kinds.
inline constexpr std::int64_t kOwnFormat = 1;

/// Reads adapter_config.json. A type of PEFT's or errata's own that is not known, and a key that
/// would change the meaning, are `kUnsupported` and named; keys that only inform, and unknown ones
/// that are null, false or empty, pass.
AdapterConfig read_adapter_config(const std::filesystem::path& path);

/// adapter_config.json's content. PEFT's types: its keys, few and old, so that old readers load it.
std::string format_adapter_config(const AdapterConfig& config);

} // namespace errata::peft
