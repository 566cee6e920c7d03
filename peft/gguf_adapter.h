#pragma once

#include "core/decoder.h"
#include "peft/adapter.h"
#include "peft/gguf_file_name.h"
#include "peft/lora_pairs.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace errata::peft {

/// The same changes in the form that a GGUF file has: one alpha for all modules, and `alpha / rank`
/// as the scale of each. B takes up the rest (alpha and rank patterns; rsLoRA's square root goes
/// into alpha while the ranks are equal).
std::vector<LoraPair> fold_for_gguf(std::vector<LoraPair> pairs);

/// Writes pairs from `fold_for_gguf` as an adapter that llama.cpp loads (docs/formats/gguf.md), the
/// values in `dtype`: float32, float16 or bfloat16. `metadata`: provenance keys. A family or module
/// that llama.cpp has no name for is `kUnsupported`.
void write_gguf_adapter(
    const std::filesystem::path& path,
    const std::vector<LoraPair>& pairs,
    const DecoderConfig& model,
    torch::Dtype dtype,
    const GgufFileName& name,
    const std::map<std::string, std::string>& metadata);

/// "F32", "F16" or "BF16"; `kInvalidArgument` for another dtype.
std::string gguf_encoding(torch::Dtype dtype);

/// Reads and attaches such a file, from whichever program. One of another architecture or shape is
/// `kCorrupt`; a kind of adapter that errata does not compute exactly `kUnsupported`.
std::unique_ptr<Adapter> load_gguf_adapter(Decoder& model, const std::filesystem::path& path);

/// True for a file that says of itself that it is an adapter.
bool is_gguf_adapter(const std::filesystem::path& path);

/// The `errata.*` keys of a file.
std::map<std::string, std::string> gguf_metadata(const std::filesystem::path& path);

} // namespace errata::peft
