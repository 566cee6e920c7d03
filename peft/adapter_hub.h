#pragma once

#include "core/decoder.h"
#include "peft/adapter.h"
#include "peft/adapter_tensors.h"

#include <filesystem>

namespace errata::peft {

inline constexpr const char* kHubTensorFile = "adapter.safetensors";

/// A bottleneck adapter as the adapters library (adapter-hub) saves it, in errata's terms.
struct HubAdapter {
  AdapterConfig config; ///< a BOTTLENECK
  AdapterTensors tensors;
};

/// Reads a directory of adapter_config.json (docs/formats/adapter.md) and adapter.safetensors for
/// this model. What errata does not compute exactly is `kUnsupported` and named: keys that change
/// the computation, families that the library treats otherwise, hook points of one's own, a
/// prediction head that is not the model's, pickle files. A tensor that belongs to no bottleneck is
/// `kCorrupt`.
HubAdapter read_adapter_hub(Decoder& model, const std::filesystem::path& directory);

/// The config alone: its adapted layers are `layers_to_transform`.
AdapterConfig read_adapter_hub_config(
    const DecoderConfig& model, const std::filesystem::path& path);

} // namespace errata::peft
