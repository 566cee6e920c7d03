#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace errata {

inline constexpr const char* kReplacementCharacter = "\xEF\xBF\xBD"; // U+FFFD

/// Bytes of the character that begins `text`: 1 to 4, or 0 where no valid one begins.
std::size_t utf8_length(std::string_view text);

/// Whether all of `text` is UTF-8.
bool is_utf8(std::string_view text);

/// Each longest beginning of a character that breaks off, and each byte that begins none, becomes
/// U+FFFD (Unicode 15, table 3-8, as Rust and Python do it).
std::string to_utf8(std::string_view text);

/// Without the white space at both ends: what Unicode calls a space separator, or bidirectional
/// white space, paragraph or segment separator, as Python's strip() has it.
std::string_view without_outer_space(std::string_view text);

/// Appends the character.
void append_utf8(char32_t character, std::string& text);

} // namespace errata
