#pragma once

#include "core/torch.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace errata {

/// One .safetensors file, memory-mapped. Every length, offset and count of the header is checked
/// against the file before use (docs/formats/safetensors.md): what does not add up is `kCorrupt`
/// and named with its tensor and byte offset.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

  std::vector<std::string> names() const; ///< sorted
  bool has(const std::string& name) const;
  /// From the header alone; `kNotFound` for an unknown name, as in `tensor`.
  torch::Dtype dtype(const std::string& name) const;
  std::vector<std::int64_t> shape(const std::string& name) const;
  /// A tensor over the mapped bytes: no copy (unless the file has it unaligned). It keeps the
  /// mapping alive. Writing to it is safe: the touched pages become this process's own and the file
  /// stays as it is.
  torch::Tensor tensor(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const;
  const std::filesystem::path& path() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Writes tensors in the order of the reference writer (dtype size descending, then name), header
/// padded to 8 bytes, `__metadata__` with {"format":"pt"} and `metadata`. Atomic. With `dtype`,
/// floating-point tensors are written as that. Conversion and copies from a device or from strided
/// memory happen one tensor at a time.
void save_safetensors(
    const std::filesystem::path& path,
    const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
    std::map<std::string, std::string> metadata = {},
    std::optional<torch::Dtype> dtype = std::nullopt);

} // namespace errata
