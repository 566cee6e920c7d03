#pragma once

#include "core/decoder.h"
#include "core/tokenizer.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace errata {

struct LoadOptions {
  torch::Device device = torch::kCPU;
  /// Of activations and of the weights in memory (`parse_dtype`). Weights whose file dtype is the
  /// same are used where they are mapped, without a copy, until something writes to them.
  torch::Dtype dtype = torch::kFloat32;
};

/// A model directory in HF layout, loaded.
struct Model {
  std::filesystem::path directory;
  Decoder decoder{nullptr};
  std::unique_ptr<Tokenizer> tokenizer; ///< empty when the directory has none
  std::vector<std::int64_t> eos;        ///< generation_config.json's, else config.json's
  std::string hash; ///< SHA-256 over names, dtypes, shapes and bytes of the tensors
  torch::Dtype file_dtype = torch::kFloat32;
};

/// Reads config.json, (sharded) safetensors and the tokenizer. Wrong shapes, missing and surplus
/// tensors are `kCorrupt` and named; an unknown architecture or config feature is `kUnsupported`.
Model load_model(const std::filesystem::path& directory, const LoadOptions& options = {});

/// Only the config: for plans and dry runs.
DecoderConfig load_decoder_config(const std::filesystem::path& directory);

/// Writes `decoder`'s weights in `dtype` as a HF directory that transformers loads: config.json,
/// generation_config.json, model.safetensors or shards of at most `shard_bytes` with an index.
/// Tokenizer files are copied from `tokenizer_directory` when it is not empty.
void save_model(
    const std::filesystem::path& directory,
    const Decoder& decoder,
    torch::Dtype dtype,
    const std::filesystem::path& tokenizer_directory = {},
    std::uint64_t shard_bytes = 5'000'000'000,
    const std::map<std::string, std::string>& metadata = {});

} // namespace errata
