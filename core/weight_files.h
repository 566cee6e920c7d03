#pragma once

#include "core/safetensors.h"
#include "core/torch.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace errata {

/// The tensors of a HF model directory: model.safetensors, or the shards that
/// model.safetensors.index.json lists (docs/formats/model.md).
class WeightFiles {
 public:
  /// A missing file or shard is `kNotFound`, an index that leaves the directory or contradicts the
  /// shards `kCorrupt`, a directory with pickled weights only `kUnsupported`. A tensor that the
  /// index does not list is a warning.
  explicit WeightFiles(const std::filesystem::path& directory);

  std::vector<std::string> names() const; ///< sorted
  bool has(const std::string& name) const { return files_of_.contains(name); }
  /// The file that holds `name`, which must be there, as for its `tensor(name)`.
  const SafetensorsFile& file(const std::string& name) const { return files_[files_of_.at(name)]; }
  std::size_t file_count() const { return files_.size(); }

 private:
  void open_single(const std::filesystem::path& path);
  void open_shards(const std::filesystem::path& index);

  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t> files_of_;
};

/// Writes `tensors` into `directory` as model.safetensors, or as shards of at most `shard_bytes`
/// of tensor data (a larger tensor has one of its own) with their index. Left-over weight files of
/// the other form are removed, so that a reader cannot mix the two.
void save_weight_files(
    const std::filesystem::path& directory,
    const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
    torch::Dtype dtype,
    std::uint64_t shard_bytes,
    const std::map<std::string, std::string>& metadata);

} // namespace errata
