#pragma once

#include "core/torch.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace errata {

/// One .safetensors file, memory-mapped. Every length, offset and count of the header is checked
/// against the file before use (docs/formats/safetensors.md).
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

  std::vector<std::string> names() const; ///< sorted
  bool has(const std::string& name) const;
  /// A tensor over the mapped bytes: no copy, must not be written to. It keeps the mapping alive.
  torch::Tensor tensor(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Writes tensors in the order of the reference writer (dtype size descending, then name), header
/// padded to 8 bytes, `__metadata__` with {"format":"pt"} and `metadata`. Atomic.
void save_safetensors(
    const std::filesystem::path& path,
    const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
    std::map<std::string, std::string> metadata = {});

} // namespace errata
