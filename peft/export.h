#pragma once

#include "core/base/progress.h"
#include "core/torch.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace errata::peft {

struct ExportOptions {
  /// Of the values written; without it merged tensors keep the base's, adapters are float32.
  std::optional<torch::Dtype> dtype;
  std::uint64_t shard_bytes = 5'000'000'000;
  /// Truncates what changes weights alone, but is no plain LoRA (DELTA, DoRA and others), to the
  /// nearest LoRA of this rank, so that programs which know LoRA can load it.
  std::optional<std::int64_t> rank;
  std::vector<double> weights; ///< one an adapter (`export_merged` only); empty: 1
  /// Replaces an earlier export at `out`.
  bool force = false;
  torch::Device device = torch::kCPU;
  ProgressCallback progress;
};

struct ExportedFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string sha256;
};

/// Log-probabilities of the probe tokens, in float32 arithmetic: base and adapters against the
/// merge, and what was to be written against what was read back.
struct SelfCheck {
  double max_difference = 0;
  /// What the cast of the weights to the output's dtype changes; no fault of the export.
  double rounding = 0;
  double tolerance = 0;
  std::int64_t positions = 0;
};

struct ExportResult {
  std::vector<ExportedFile> files;
  SelfCheck self_check;
  std::int64_t modules = 0;         ///< weight matrices that the adapters change
  std::int64_t changed_entries = 0; ///< merged: entries of those matrices with a change
  std::int64_t rounded_back = 0;    ///< merged: of these, how many the cast turned back
  double truncation_error = 0;      ///< with `rank`: |what was dropped| / |delta|, Frobenius
};

/// Writes base plus adapters (summed) as a HF directory: float32 arithmetic, one cast, weights
/// streamed shard by shard, configs and tokenizer copied, and errata.json with the hashes
/// (docs/formats/merged.md). The directory is written beside its place, read back and compared with
/// the adapted base: a difference above 1e-4 that is not the cast's is `kInternal`. It appears
/// complete or not at all. An `out` that exists is `kInvalidArgument` unless `force` is set and it
/// holds an earlier export.
ExportResult export_merged(
    const std::filesystem::path& model_directory,
    const std::vector<std::filesystem::path>& adapters,
    const std::filesystem::path& out,
    const ExportOptions& options = {});

// One adapter for another program, each checked like a merged export. A DELTA adapter is
// `kUnsupported` unless `rank` is set; so is whatever the format cannot hold, with the way out.

/// A PEFT directory, float32 (docs/formats/adapter.md).
ExportResult export_peft(
    const std::filesystem::path& model_directory,
    const std::filesystem::path& adapter,
    const std::filesystem::path& out,
    const ExportOptions& options = {});

/// One GGUF file for llama.cpp (docs/formats/gguf.md), float32 unless `dtype` is set: `out` itself
/// when it ends in .gguf, else the only file of the directory `out`, named by llama.cpp's
/// convention.
ExportResult export_gguf(
    const std::filesystem::path& model_directory,
    const std::filesystem::path& adapter,
    const std::filesystem::path& out,
    const ExportOptions& options = {});

/// A directory for mlx-lm (docs/formats/mlx.md), float32 unless `dtype` is set.
ExportResult export_mlx(
    const std::filesystem::path& model_directory,
    const std::filesystem::path& adapter,
    const std::filesystem::path& out,
    const ExportOptions& options = {});

} // namespace errata::peft
