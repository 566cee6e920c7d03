#pragma once

#include "core/torch.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace errata {

/// One tensor as the header of a safetensors file describes it.
struct TensorEntry {
  std::string name;
  torch::Dtype dtype = torch::kFloat32;
  std::vector<std::int64_t> shape; ///< empty for a scalar
  std::uint64_t begin = 0;         ///< of its bytes, counted from the end of the header
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors; ///< by `begin`, then name
  std::map<std::string, std::string> metadata;
  std::uint64_t data_start = 0; ///< offset in the file of the first tensor byte
};

/// Parses and checks the header of a whole file (docs/formats/safetensors.md). Anything that does
/// not add up is `kCorrupt`, a dtype that LibTorch cannot hold is `kUnsupported`; both name
/// `where`, the tensor and the byte offset.
SafetensorsHeader parse_safetensors_header(
    std::span<const std::byte> file, const std::string& where);

/// Length field and JSON, padded to a multiple of 8: the bytes in front of the tensor data.
/// `tensors` must be in the order of their bytes.
std::string format_safetensors_header(const SafetensorsHeader& header);

/// The reference writer's order: by dtype (the widest first), then name.
bool written_before(const TensorEntry& a, const TensorEntry& b);

/// "BF16"; `kUnsupported` when safetensors has no name for `dtype`.
std::string safetensors_dtype_name(torch::Dtype dtype);

} // namespace errata
