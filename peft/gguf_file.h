#pragma once

#include "core/base/files.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace errata::peft {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr std::uint32_t kGgufVersion = 3;
/// Of tensor data, unless the file says another.
inline constexpr std::uint64_t kGgufAlignment = 32;

/// `size` rounded up to a multiple of `alignment`.
constexpr std::uint64_t gguf_padded(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

/// An array of a GGUF file's keys, its elements as they stand in the file.
struct GgufArray {
  std::uint32_t type = 0; ///< of the elements, coded as `GgufValue::index()`
  std::uint64_t count = 0;
  std::string elements;
};

/// The value of a key. The place of the alternative is the format's type code.
using GgufValue = std::variant<
    std::uint8_t,
    std::int8_t,
    std::uint16_t,
    std::int16_t,
    std::uint32_t,
    std::int32_t,
    float,
    bool,
    std::string,
    GgufArray,
    std::uint64_t,
    std::int64_t,
    double>;

/// The element types that adapters come in, with the format's codes. Q8_0: blocks of 32 values, a
/// float16 scale and 32 signed bytes each.
enum class GgufType : std::uint32_t { kF32 = 0, kF16 = 1, kQ8_0 = 8, kBF16 = 30 };

/// Bytes of `count` values; `count` must be a multiple of 32 for Q8_0.
std::uint64_t gguf_byte_count(GgufType type, std::uint64_t count);

struct GgufTensor {
  std::string name;
  GgufType type = GgufType::kF32;
  /// Row-major, as in PyTorch: [rows, columns]. The file has it the other way round (`ne`).
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;
};

/// One GGUF file (version 2 or 3, little-endian), memory-mapped. Every count, length and offset is
/// checked against the file before use (docs/formats/gguf.md): what does not add up is `kCorrupt`
/// and named with its byte offset; another version, byte order or tensor type is `kUnsupported`.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const std::map<std::string, GgufValue>& values() const noexcept { return values_; }
  /// In the order of the file. Their bytes live as long as this object.
  const std::vector<GgufTensor>& tensors() const noexcept { return tensors_; }
  const std::filesystem::path& path() const noexcept { return file_.path(); }

  /// The string under `key`; `kCorrupt` when it is missing or no string.
  const std::string& text(const std::string& key) const;

 private:
  MappedFile file_;
  std::map<std::string, GgufValue> values_;
  std::vector<GgufTensor> tensors_;
};

/// True when `path` is a regular file that begins as a GGUF file does.
bool is_gguf_file(const std::filesystem::path& path);

/// Writes a version 3 file, keys and tensors in the given order, data aligned to 32 bytes. Atomic.
/// A tensor name of 64 bytes or more, which llama.cpp cannot read, is `kUnsupported`.
void write_gguf(
    const std::filesystem::path& path,
    const std::vector<std::pair<std::string, GgufValue>>& values,
    const std::vector<GgufTensor>& tensors);

} // namespace errata::peft
