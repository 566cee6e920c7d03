#include "peft/gguf_file.h"

#include "core/base/error.h"
#include "peft/gguf_cursor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <string_view>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian");

constexpr std::size_t kMostDimensions = 4;
constexpr std::uint32_t kStringType = 8;
constexpr std::uint32_t kArrayType = 9;
// Bytes of one value by type code; 0 where it depends.
constexpr std::array<std::uint64_t, 13> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
// The least that a key with its value, and a tensor's entry, can take.
constexpr std::uint64_t kLeastKeyBytes = 8 + 4 + 1;
constexpr std::uint64_t kLeastTensorBytes = 8 + 4 + 4 + 8;

std::uint32_t read_value_type(GgufCursor& cursor, const std::string& key) {
  const std::uint64_t at = cursor.offset();
  const auto type = cursor.number<std::uint32_t>("value type");
  ERRATA_CHECK(
      type < kValueBytes.size(),
      ErrorCode::kCorrupt,
      cursor.where(),
      ": key '",
      key,
      "' has value type ",
      type,
      " at offset ",
      at,
      "; expected 0 to 12");
  return type;
}

GgufArray read_array(GgufCursor& cursor, const std::string& key) {
  GgufArray array;
  array.type = read_value_type(cursor, key);
  ERRATA_CHECK(
      array.type != kArrayType,
      ErrorCode::kUnsupported,
      cursor.where(),
      ": key '",
      key,
      "' is an array of arrays, which is not supported");
  const std::uint64_t each = kValueBytes[array.type];
  array.count = cursor.count(each == 0 ? sizeof(std::uint64_t) : each, "array length");
  if (array.type != kStringType) {
    const auto bytes = cursor.take(array.count * each, "array");
    array.elements.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return array;
  }
  for (std::uint64_t i = 0; i < array.count; ++i) {
    const std::string element = cursor.text("string");
    const std::uint64_t length = element.size();
    array.elements.append(reinterpret_cast<const char*>(&length), sizeof length);
    array.elements += element;
  }
  return array;
}

bool read_bool(GgufCursor& cursor, const std::string& key) {
  const auto value = cursor.number<std::uint8_t>("bool");
  ERRATA_CHECK(
      value <= 1,
      ErrorCode::kCorrupt,
      cursor.where(),
      ": key '",
      key,
      "' is a bool of value ",
      static_cast<int>(value),
      " at offset ",
      cursor.offset() - 1,
      "; expected 0 or 1");
  return value == 1;
}

// The alternative of `GgufValue` at place `type`, read by `read`.
template <std::size_t Place = 0, typename Read>
GgufValue read_alternative(std::uint32_t type, const Read& read) {
  if constexpr (Place + 1 < std::variant_size_v<GgufValue>) {
    if (type != Place) {
      return read_alternative<Place + 1>(type, read);
    }
  }
  using Value = std::variant_alternative_t<Place, GgufValue>;
  return GgufValue(std::in_place_index<Place>, read.template operator()<Value>());
}

GgufValue read_value(GgufCursor& cursor, const std::string& key) {
  const std::uint32_t type = read_value_type(cursor, key);
  const auto read = [&]<typename Value>() -> Value {
    if constexpr (std::is_same_v<Value, std::string>) {
      return cursor.text("string");
    } else if constexpr (std::is_same_v<Value, GgufArray>) {
      return read_array(cursor, key);
    } else if constexpr (std::is_same_v<Value, bool>) {
      return read_bool(cursor, key);
    } else {
      return cursor.number<Value>("value");
    }
  };
  return read_alternative(type, read);
}

GgufType read_tensor_type(std::uint32_t code, const std::string& where) {
  for (const GgufType known : {GgufType::kF32, GgufType::kF16, GgufType::kQ8_0, GgufType::kBF16}) {
    if (static_cast<std::uint32_t>(known) == code) {
      return known;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kUnsupported,
      where,
      " has type ",
      code,
      ", which is not supported; expected F32, F16, BF16 or Q8_0");
}

// Values of a tensor; nothing when a size or the product is more than any file holds.
std::optional<std::uint64_t> value_count(const std::vector<std::uint64_t>& shape) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 60;
  std::uint64_t count = 1;
  for (const std::uint64_t size : shape) {
    if (size > kMost || __builtin_mul_overflow(count, size, &count)) {
      return std::nullopt;
    }
  }
  return count <= kMost ? std::optional(count) : std::nullopt;
}

struct GgufEntry {
  GgufTensor tensor;
  std::uint64_t offset = 0; ///< in the data section
  std::uint64_t bytes = 0;
};

GgufEntry read_gguf_entry(GgufCursor& cursor) {
  GgufEntry entry;
  entry.tensor.name = cursor.text("tensor name");
  const std::string where = concat(cursor.where(), ": tensor '", entry.tensor.name, "'");
  const auto dimensions = cursor.number<std::uint32_t>("number of dimensions");
  ERRATA_CHECK(
      dimensions <= kMostDimensions,
      ErrorCode::kCorrupt,
      where,
      " has ",
      dimensions,
      " dimensions; expected at most ",
      kMostDimensions);
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    entry.tensor.shape.push_back(cursor.number<std::uint64_t>("size"));
  }
  std::reverse(entry.tensor.shape.begin(), entry.tensor.shape.end());
  entry.tensor.type = read_tensor_type(cursor.number<std::uint32_t>("tensor type"), where);
  entry.offset = cursor.number<std::uint64_t>("tensor offset");
  const auto count = value_count(entry.tensor.shape);
  ERRATA_CHECK(count.has_value(), ErrorCode::kCorrupt, where, " is too large; the file is damaged");
  ERRATA_CHECK(
      entry.tensor.type != GgufType::kQ8_0 ||
          (!entry.tensor.shape.empty() && entry.tensor.shape.back() % 32 == 0),
      ErrorCode::kCorrupt,
      where,
      " is Q8_0, but its rows are no multiple of 32 values");
  entry.bytes = gguf_byte_count(entry.tensor.type, *count);
  return entry;
}

std::uint64_t alignment_of(
    const std::map<std::string, GgufValue>& values, const std::string& where) {
  const auto found = values.find("general.alignment");
  if (found == values.end()) {
    return kGgufAlignment;
  }
  const auto* alignment = std::get_if<std::uint32_t>(&found->second);
  ERRATA_CHECK(
      alignment != nullptr && std::has_single_bit(*alignment),
      ErrorCode::kCorrupt,
      where,
      ": key 'general.alignment' is not a power of two");
  return *alignment;
}

// Every tensor inside the data, aligned, and none on top of another.
void place_tensors(
    std::vector<GgufEntry>& entries,
    std::span<const std::byte> data,
    std::uint64_t alignment,
    const std::string& where) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (GgufEntry& entry : entries) {
    ERRATA_CHECK(
        entry.offset % alignment == 0 && entry.offset <= data.size() &&
            entry.bytes <= data.size() - entry.offset,
        ErrorCode::kCorrupt,
        where,
        ": tensor '",
        entry.tensor.name,
        "' of ",
        entry.bytes,
        " bytes at data offset ",
        entry.offset,
        " is not aligned to ",
        alignment,
        " or lies outside the ",
        data.size(),
        " bytes of tensor data; the file is truncated or damaged");
    entry.tensor.bytes = data.subspan(entry.offset, entry.bytes);
    spans.emplace_back(entry.offset, entry.offset + entry.bytes);
  }
  std::sort(spans.begin(), spans.end());
  for (std::size_t i = 1; i < spans.size(); ++i) {
    ERRATA_CHECK(
        spans[i].first >= spans[i - 1].second,
        ErrorCode::kCorrupt,
        where,
        ": two tensors overlap at data offset ",
        spans[i].first);
  }
}

void check_version(GgufCursor& cursor) {
  const auto magic = cursor.take(kGgufMagic.size(), "magic");
  ERRATA_CHECK(
      std::memcmp(magic.data(), kGgufMagic.data(), kGgufMagic.size()) == 0,
      ErrorCode::kCorrupt,
      cursor.where(),
      ": does not begin with 'GGUF' at offset 0; it is not a GGUF file");
  const auto version = cursor.number<std::uint32_t>("version");
  ERRATA_CHECK(
      version == 2 || version == kGgufVersion,
      ErrorCode::kUnsupported,
      cursor.where(),
      ": GGUF version ",
      version,
      version >> 16 != 0 ? " (a big-endian file?)" : "",
      " is not supported; expected 2 or 3, little-endian");
}

} // namespace

std::uint64_t gguf_byte_count(GgufType type, std::uint64_t count) {
  switch (type) {
    case GgufType::kF32:
      return 4 * count;
    case GgufType::kF16:
    case GgufType::kBF16:
      return 2 * count;
    case GgufType::kQ8_0:
      return count / 32 * 34;
  }
  ERRATA_FAIL(ErrorCode::kInternal, "unknown GGUF tensor type");
}

GgufFile::GgufFile(const fs::path& path) : file_(path) {
  GgufCursor cursor(file_.bytes(), path.string());
  check_version(cursor);
  // Both counts before either list: the second is checked again when its list is read.
  const auto tensor_count = cursor.count(kLeastTensorBytes, "number of tensors");
  const auto key_count = cursor.count(kLeastKeyBytes, "number of keys");
  for (std::uint64_t i = 0; i < key_count; ++i) {
    const std::string key = cursor.text("key");
    const bool fresh = values_.emplace(key, read_value(cursor, key)).second;
    ERRATA_CHECK(fresh, ErrorCode::kCorrupt, cursor.where(), ": key '", key, "' stands twice");
  }
  std::vector<GgufEntry> entries;
  std::set<std::string> names;
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    entries.push_back(read_gguf_entry(cursor));
    const std::string& name = entries.back().tensor.name;
    ERRATA_CHECK(
        names.insert(name).second,
        ErrorCode::kCorrupt,
        cursor.where(),
        ": tensor '",
        name,
        "' stands twice");
  }
  const std::uint64_t alignment = alignment_of(values_, cursor.where());
  const std::uint64_t data_start = gguf_padded(cursor.offset(), alignment);
  ERRATA_CHECK(
      entries.empty() || data_start <= file_.bytes().size(),
      ErrorCode::kCorrupt,
      cursor.where(),
      ": no tensor data at offset ",
      data_start,
      "; the file is truncated");
  if (!entries.empty()) {
    place_tensors(entries, file_.bytes().subspan(data_start), alignment, cursor.where());
  }
  for (GgufEntry& entry : entries) {
    tensors_.push_back(std::move(entry.tensor));
  }
}

const std::string& GgufFile::text(const std::string& key) const {
  const auto found = values_.find(key);
  const std::string* value =
      found == values_.end() ? nullptr : std::get_if<std::string>(&found->second);
  ERRATA_CHECK(
      value != nullptr,
      ErrorCode::kCorrupt,
      path().string(),
      ": key '",
      key,
      "' is missing or not a string");
  return *value;
}

bool is_gguf_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) {
    return false;
  }
  std::ifstream in(path, std::ios::binary);
  std::array<char, kGgufMagic.size()> start{};
  in.read(start.data(), start.size());
  return in.good() && std::string_view(start.data(), start.size()) == kGgufMagic;
}

} // namespace errata::peft
