#pragma once

#include "core/base/progress.h"
#include "core/weight_files.h"
#include "peft/adapter.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace errata::peft {

struct MergeCounts {
  std::int64_t modules = 0;
  std::int64_t changed_entries = 0;
  std::int64_t rounded_back = 0;
};

/// Writes the tensors of `base` with the adapters' deltas added into `directory`: one file, or
/// shards of at most `shard_bytes` with an index. One shard's merged matrices are in memory at a
/// time; the rest goes from the mapped base straight to the file. `kCorrupt` when a merged matrix
/// is not finite. `transposed`: `DecoderImpl::transposed_in_files`. `untied`: the module path of an
/// embedding that the base ties its head to and the merged model does not; empty: as in the base.
MergeCounts write_merged_weights(
    const WeightFiles& base,
    const std::vector<std::unique_ptr<Adapter>>& adapters,
    const std::set<std::string>& transposed,
    const std::string& untied,
    const std::filesystem::path& directory,
    std::optional<torch::Dtype> dtype,
    std::uint64_t shard_bytes,
    const ProgressCallback& progress);

/// The dtype in which a tensor is written; `name` as the file or as the decoder calls it.
torch::Dtype merged_dtype(
    const WeightFiles& base, const std::string& name, std::optional<torch::Dtype> dtype);

} // namespace errata::peft
