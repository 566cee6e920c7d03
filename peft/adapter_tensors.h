#pragma once

#include "core/module_names.h"
#include "core/torch.h"
#include "peft/adapter_types.h"

#include <filesystem>
#include <map>
#include <string>

namespace errata::peft {

/// The tensors of an adapter file under the decoder's own names.
struct AdapterTensors {
  /// Float32, on the CPU: `model.layers.3.self_attn.q_proj.lora_A.weight`.
  std::map<std::string, torch::Tensor> tensors;
  /// What the file says where the decoder says `model.` (its root): PEFT names modules after the
  /// class it wrapped ("" for a bare base, `model.language_model.` for a multimodal one).
  std::string model_prefix;
};

/// Reads `path` of an adapter of this `type`, or (null) of a DELTA. Names carry PEFT's prefix when
/// the type is PEFT's, none when it is errata's own. What a type shares among modules keeps its
/// name. Names outside the decoder, mixed prefixes and values that are not finite are `kCorrupt`.
AdapterTensors read_adapter_tensors(
    const std::filesystem::path& path, const AdapterType* type, const ModuleNames& names);

/// A value of an adapter's file, F32, BF16 or F16 (`kUnsupported`) and finite (`kCorrupt`), as a
/// copy in float32. `where` begins the message.
torch::Tensor adapter_float32(const torch::Tensor& tensor, const std::string& where);

/// What a file with this `model_prefix` calls the decoder's `module`.
std::string path_in_file(
    const std::string& module, const std::string& prefix, const ModuleNames& names);

} // namespace errata::peft
