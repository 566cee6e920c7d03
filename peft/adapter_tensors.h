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
/// name. Whole base matrices that PEFT stores beside an adapter are left out; adapters on
/// embeddings or the output head are `kUnsupported`; names outside the decoder's layers, mixed
/// prefixes and values that are not finite `kCorrupt`.
AdapterTensors read_adapter_tensors(
    const std::filesystem::path& path, const AdapterType* type, const ModuleNames& names);

/// A value of an adapter's file, F32, BF16 or F16 (`kUnsupported`) and finite (`kCorrupt`), as a
/// copy in float32. `where` begins the message.
torch::Tensor adapter_float32(const torch::Tensor& tensor, const std::string& where);

} // namespace errata::peft
