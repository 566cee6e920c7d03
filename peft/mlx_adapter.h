#pragma once

#include "core/decoder.h"
#include "peft/adapter.h"
#include "peft/lora_pairs.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace errata::peft {

inline constexpr const char* kMlxTensorFile = "adapters.safetensors";

/// The same changes in the form that an mlx-lm adapter has: one rank and one scale. Smaller pairs
/// get rows and columns of zeros, B takes up the rest of the scale.
std::vector<LoraPair> fold_for_mlx(std::vector<LoraPair> pairs);

/// What an mlx-lm adapter says besides its tensors.
struct MlxDetails {
  /// The base is multimodal (`model_type` gemma3): mlx-lm keeps its decoder under
  /// `language_model.`.
  bool multimodal = false;
  double dropout = 0.0;
  torch::Dtype dtype = torch::kFloat32;
  std::map<std::string, std::string> metadata; ///< of the safetensors file
};

/// Writes adapter_config.json and adapters.safetensors from `fold_for_mlx` (docs/formats/mlx.md). A
/// family that mlx-lm does not have is `kUnsupported`.
void write_mlx_adapter(
    const std::filesystem::path& directory,
    const std::vector<LoraPair>& pairs,
    const Decoder& model,
    const MlxDetails& details);

/// Reads and attaches such a directory. mlx-lm's `dora` and `full` are `kUnsupported`; tensors that
/// the config does not select or that do not fit the model `kCorrupt`.
std::unique_ptr<Adapter> load_mlx_adapter(Decoder& model, const std::filesystem::path& directory);

} // namespace errata::peft
