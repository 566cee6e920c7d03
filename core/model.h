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
  /// Of activations and of the weights in memory (`parse_dtype`). Weights on the CPU whose file
  /// dtype is the same are used where they are mapped, without a copy. Training or merging them in
  /// place needs no care: pages that are written to become this process's own, and the file stays
  /// as it is.
  torch::Dtype dtype = torch::kFloat32;
  /// Compute `Model::hash`, for which every byte is read.
  bool hash = true;
};

/// A model directory in HF layout, loaded. Its parameters do not require gradients: whoever trains
/// one turns them on.
struct Model {
  std::filesystem::path directory;
  Decoder decoder{nullptr};
  std::unique_ptr<Tokenizer> tokenizer; ///< empty when the directory has none
  std::vector<std::int64_t> eos;        ///< generation_config.json's, else config.json's
  std::string hash; ///< SHA-256 over names, dtypes, shapes and bytes; however they are sharded
  torch::Dtype file_dtype = torch::kFloat32;
};

/// Reads config.json, (sharded) safetensors and the tokenizer (docs/formats/model.md). Wrong
/// shapes, missing and surplus tensors and a tokenizer with more ids than the model are `kCorrupt`
/// and named; an unknown architecture or config feature is `kUnsupported`.
Model load_model(const std::filesystem::path& directory, const LoadOptions& options = {});

/// Only the config: for plans and dry runs.
DecoderConfig load_decoder_config(const std::filesystem::path& directory);

/// Writes `decoder`'s weights in `dtype` as a HF directory that transformers loads: config.json,
/// generation_config.json, model.safetensors or shards of at most `shard_bytes` with an index.
/// Tokenizer files are copied from `tokenizer_directory` when it is not empty, and special ids are
/// taken from its configs or its tokenizer. Each file appears complete or not at all, config.json
/// last.
void save_model(
    const std::filesystem::path& directory,
    const Decoder& decoder,
    torch::Dtype dtype,
    const std::filesystem::path& tokenizer_directory = {},
    std::uint64_t shard_bytes = 5'000'000'000,
    const std::map<std::string, std::string>& metadata = {});

} // namespace errata
