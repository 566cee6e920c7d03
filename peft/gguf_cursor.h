#pragma once

#include "core/base/error.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace errata::peft {

/// Reads forward through the bytes of a file and never past their end: what does not fit is
/// `kCorrupt` and named with its offset. Little-endian.
class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t left() const { return bytes_.size() - offset_; }
  const std::string& where() const { return where_; }

  std::span<const std::byte> take(std::uint64_t count, std::string_view what) {
    ERRATA_CHECK(
        count <= left(),
        ErrorCode::kCorrupt,
        where_,
        ": ",
        what,
        " of ",
        count,
        " bytes at offset ",
        offset_,
        " does not fit in the file of ",
        bytes_.size(),
        " bytes; the file is truncated or damaged");
    const auto taken = bytes_.subspan(offset_, count);
    offset_ += count;
    return taken;
  }

  template <typename T>
  T number(std::string_view what) {
    T value{};
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }

  std::string text(std::string_view what) {
    const auto length = number<std::uint64_t>(what);
    const auto bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// A count of things that take at least `least` bytes each.
  std::uint64_t count(std::uint64_t least, std::string_view what) {
    const std::uint64_t at = offset_;
    const auto value = number<std::uint64_t>(what);
    ERRATA_CHECK(
        value <= left() / least,
        ErrorCode::kCorrupt,
        where_,
        ": ",
        what,
        " ",
        value,
        " at offset ",
        at,
        " cannot fit in the file of ",
        bytes_.size(),
        " bytes; the file is truncated or damaged");
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string where_;
  std::uint64_t offset_ = 0;
};

} // namespace errata::peft
