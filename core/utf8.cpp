#include "core/utf8.h"

#include <algorithm>
#include <utf8proc.h>

namespace errata {
namespace {

unsigned char byte_at(std::string_view text, std::size_t i) {
  return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
}

struct Sequence {
  std::size_t length; ///< of the whole character; 0: this byte begins none
  unsigned char low;  ///< least second byte
  unsigned char high; ///< largest second byte
};

// Unicode 15, table 3-7.
Sequence sequence_of(unsigned char first) {
  if (first < 0x80) {
    return {1, 0, 0};
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return {2, 0x80, 0xBF};
  }
  if (first >= 0xE0 && first <= 0xEF) {
    return {
        3,
        static_cast<unsigned char>(first == 0xE0 ? 0xA0 : 0x80),
        static_cast<unsigned char>(first == 0xED ? 0x9F : 0xBF)};
  }
  if (first >= 0xF0 && first <= 0xF4) {
    return {
        4,
        static_cast<unsigned char>(first == 0xF0 ? 0x90 : 0x80),
        static_cast<unsigned char>(first == 0xF4 ? 0x8F : 0xBF)};
  }
  return {0, 0, 0};
}

// Bytes at the beginning that belong to one character, whole or broken off; at least 1.
std::size_t well_formed(std::string_view text, const Sequence& sequence) {
  std::size_t bytes = 1;
  while (bytes < sequence.length) {
    const unsigned char next = byte_at(text, bytes);
    const unsigned char low = bytes == 1 ? sequence.low : 0x80;
    const unsigned char high = bytes == 1 ? sequence.high : 0xBF;
    if (next < low || next > high) {
      break;
    }
    ++bytes;
  }
  return bytes;
}

bool is_space(std::string_view character) {
  utf8proc_int32_t point = -1;
  utf8proc_iterate(
      reinterpret_cast<const utf8proc_uint8_t*>(character.data()),
      static_cast<utf8proc_ssize_t>(character.size()),
      &point);
  const utf8proc_property_t* const property = utf8proc_get_property(point);
  return property->category == UTF8PROC_CATEGORY_ZS ||
         property->bidi_class == UTF8PROC_BIDI_CLASS_WS ||
         property->bidi_class == UTF8PROC_BIDI_CLASS_B ||
         property->bidi_class == UTF8PROC_BIDI_CLASS_S;
}

} // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) {
    return 0;
  }
  const Sequence sequence = sequence_of(byte_at(text, 0));
  return sequence.length > 0 && well_formed(text, sequence) == sequence.length ? sequence.length
                                                                               : 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

std::string to_utf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Sequence sequence = sequence_of(byte_at(text, 0));
    const std::size_t bytes = well_formed(text, sequence);
    result +=
        bytes == sequence.length ? text.substr(0, bytes) : std::string_view(kReplacementCharacter);
    text.remove_prefix(bytes);
  }
  return result;
}

std::string_view without_outer_space(std::string_view text) {
  std::size_t begin = text.size();
  std::size_t end = text.size();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = std::max<std::size_t>(1, utf8_length(text.substr(at)));
    if (!is_space(text.substr(at, length))) {
      begin = std::min(begin, at);
      end = at + length;
    }
    at += length;
  }
  return text.substr(begin, end - begin);
}

void append_utf8(char32_t character, std::string& text) {
  const auto part = [&](unsigned shift) {
    return static_cast<char>(0x80U | ((character >> shift) & 0x3FU));
  };
  if (character < 0x80) {
    text += static_cast<char>(character);
  } else if (character < 0x800) {
    text += {static_cast<char>(0xC0U | (character >> 6U)), part(0)};
  } else if (character < 0x10000) {
    text += {static_cast<char>(0xE0U | (character >> 12U)), part(6), part(0)};
  } else {
    text += {static_cast<char>(0xF0U | (character >> 18U)), part(12), part(6), part(0)};
  }
}

} // namespace errata
