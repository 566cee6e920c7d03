#include "editing/store/text_check.h"

#include "core/base/error.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace errata::editing {
namespace {

// Far above any name and far below what SQLite refuses in the middle of a change.
constexpr std::size_t kMostBytes = std::size_t{64} << 20;

// Length of the UTF-8 sequence at `place`, 0 when it is not one (RFC 3629: no surrogates, no
// overlong forms, nothing past U+10FFFF).
std::size_t sequence_length(std::string_view text, std::size_t place) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return place + i < text.size() ? static_cast<unsigned char>(text[place + i]) : 0U;
  };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const std::uint32_t first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return tail(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const bool bounded = (first != 0xE0 || byte(1) >= 0xA0) && (first != 0xED || byte(1) < 0xA0);
    return bounded && tail(1) && tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool bounded = (first != 0xF0 || byte(1) >= 0x90) && (first != 0xF4 || byte(1) < 0x90);
    return bounded && tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

} // namespace

void require_text(std::string_view text, std::string_view what) {
  ERRATA_CHECK(
      text.size() <= kMostBytes,
      ErrorCode::kInvalidArgument,
      what,
      " has ",
      text.size(),
      " bytes; expected at most ",
      kMostBytes);
  for (std::size_t place = 0; place < text.size();) {
    if (text[place] > 0) { // ASCII without NUL, by far the most
      ++place;
      continue;
    }
    const std::size_t length = sequence_length(text, place);
    ERRATA_CHECK(
        length > 0, ErrorCode::kInvalidArgument, what, " is not valid UTF-8 at byte ", place);
    ERRATA_CHECK(
        text[place] != '\0', ErrorCode::kInvalidArgument, what, " has a NUL at byte ", place);
    place += length;
  }
}

void require_name(std::string_view text, std::string_view what) {
  const bool blank = std::all_of(text.begin(), text.end(), [](char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
  });
  ERRATA_CHECK(!blank, ErrorCode::kInvalidArgument, what, " is empty; expected a text");
  require_text(text, what);
}

void require_names(const std::vector<std::string>& texts, std::string_view what) {
  for (const std::string& text : texts) {
    require_name(text, what);
  }
}

std::string brief(std::initializer_list<std::string_view> parts) {
  constexpr std::size_t kLongest = 60;
  std::string text;
  for (const std::string_view part : parts) {
    text += text.empty() ? "" : ", ";
    std::size_t end = std::min(part.size(), kLongest);
    while (end > 0 && end < part.size() &&
           (static_cast<unsigned char>(part[end]) & 0xC0U) == 0x80) {
      --end;
    }
    text += part.substr(0, end);
    text += end < part.size() ? "..." : "";
  }
  return text;
}

} // namespace errata::editing
