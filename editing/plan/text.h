#pragma once

#include <cctype>
#include <string>
#include <string_view>

// Small text helpers of the plan. ASCII case only: names are compared as they are written, and
// lower-casing UTF-8 properly would need a Unicode table.

namespace errata::editing {

inline std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& letter : result) {
    if (letter >= 'A' && letter <= 'Z') {
      letter = static_cast<char>(letter - 'A' + 'a');
    }
  }
  return result;
}

/// "the country" -> "The country"
inline std::string sentence_case(std::string text) {
  if (!text.empty() && text.front() >= 'a' && text.front() <= 'z') {
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  }
  return text;
}

/// Bytes of multi-byte characters count as letters.
inline bool is_word_byte(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value >= 0x80 || std::isalnum(value) != 0;
}

/// Whether `word` stands in `text` with no letter or digit beside it.
inline bool contains_word(std::string_view text, std::string_view word) {
  if (word.empty()) {
    return false;
  }
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_word_byte(text[at - 1])) &&
        (end == text.size() || !is_word_byte(text[end]))) {
      return true;
    }
  }
  return false;
}

/// Puts the values in place of `{s}`, `{o}` and `{t}`.
inline std::string fill_template(
    std::string_view pattern,
    std::string_view subject,
    std::string_view object,
    std::string_view time = {}) {
  std::string result;
  result.reserve(pattern.size() + subject.size() + object.size() + time.size());
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '{' && i + 2 < pattern.size() && pattern[i + 2] == '}') {
      const char name = pattern[i + 1];
      if (name == 's' || name == 'o' || name == 't') {
        result += name == 's' ? subject : name == 'o' ? object : time;
        i += 2;
        continue;
      }
    }
    result += pattern[i];
  }
  return result;
}

} // namespace errata::editing
