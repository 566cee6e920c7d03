#pragma once

#include "core/decoder_config.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace errata {

/// Values of `model_type` that `parse_decoder_config` reads, sorted.
std::vector<std::string> supported_model_types();

/// A parsed config.json as a `DecoderConfig` (docs/formats/model.md). Reads the dialects of
/// transformers 4 and 5. An unknown `model_type`, activation, RoPE type or a feature that changes
/// the computation is `kUnsupported` and names the value and what is supported; a missing or
/// contradictory field is `kCorrupt` and names `where` and the field.
DecoderConfig parse_decoder_config(const nlohmann::json& config, const std::string& where);

/// Ids that a model directory gives to special tokens.
struct SpecialIds {
  std::vector<std::int64_t> eos; ///< generation_config.json's, else config.json's
  std::optional<std::int64_t> bos;
  std::optional<std::int64_t> pad;
};

/// Reads generation_config.json (where present) and config.json of `directory`.
SpecialIds read_special_ids(const std::filesystem::path& directory);

/// A config.json from which transformers builds the same decoder, `dtype` being that of the weights
/// ("bfloat16"). `kUnsupported` for a decoder that its family cannot describe.
nlohmann::ordered_json hf_config(
    const DecoderConfig& config, const std::string& dtype, const SpecialIds& ids);

} // namespace errata
