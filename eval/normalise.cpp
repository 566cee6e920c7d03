#include "eval/normalise.h"

#include "core/base/error.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utf8proc.h>

namespace errata::eval {
namespace {

constexpr std::string_view kSpaces = " \t\n\v\f\r";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Replaces what is not UTF-8, because utf8proc refuses a text with one wrong byte in it.
std::string valid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::size_t at = 0;
  while (at < text.size()) {
    utf8proc_int32_t point = 0;
    const auto length =
        utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &point);
    if (length > 0) {
      result.append(text.substr(at, static_cast<std::size_t>(length)));
      at += static_cast<std::size_t>(length);
    } else {
      result.append(kReplacement);
      ++at;
    }
  }
  return result;
}

std::string fold(const std::string& text) {
  utf8proc_uint8_t* folded = nullptr;
  const auto length = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()),
      &folded,
      static_cast<utf8proc_option_t>(
          UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD));
  ERRATA_CHECK(length >= 0, ErrorCode::kInternal, "utf8proc: ", utf8proc_errmsg(length));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(folded, &std::free);
  return {reinterpret_cast<const char*>(folded), static_cast<std::size_t>(length)};
}

// U+2018 to U+201F are the single and double quotation marks: E2 80 98 to E2 80 9F. Both kinds are
// deleted with the ASCII punctuation in the next step.
bool is_curly_quote(std::string_view text, std::size_t at) {
  return text.substr(at, 2) == "\xE2\x80" && at + 2 < text.size() &&
         static_cast<std::uint8_t>(text[at + 2]) >= 0x98 &&
         static_cast<std::uint8_t>(text[at + 2]) <= 0x9F;
}

bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

std::string without_punctuation(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_curly_quote(text, i)) {
      i += 2;
    } else if (!is_ascii_punctuation(text[i])) {
      result.push_back(text[i]);
    }
  }
  return result;
}

bool is_article(std::string_view word) {
  return word == "a" || word == "an" || word == "the";
}

} // namespace

std::string normalise(std::string_view text) {
  const std::string bare = without_punctuation(fold(valid_utf8(text)));
  std::string result;
  const std::string_view rest = bare;
  for (std::size_t at = rest.find_first_not_of(kSpaces); at != std::string_view::npos;) {
    const std::size_t end = std::min(rest.find_first_of(kSpaces, at), rest.size());
    const std::string_view word = rest.substr(at, end - at);
    if (!is_article(word)) {
      result.append(result.empty() ? "" : " ").append(word);
    }
    at = rest.find_first_not_of(kSpaces, end);
  }
  return result;
}

std::string_view trim(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

bool matches(std::string_view text, const std::vector<std::string>& accepted) {
  const std::string given = normalise(text);
  return !given.empty() && std::any_of(accepted.begin(), accepted.end(), [&](const auto& answer) {
    return normalise(answer) == given;
  });
}

bool matches_exactly(std::string_view text, const std::vector<std::string>& accepted) {
  const std::string_view given = trim(text);
  return !given.empty() && std::any_of(accepted.begin(), accepted.end(), [&](const auto& answer) {
    return trim(answer) == given;
  });
}

bool contains_answer(std::string_view text, const std::vector<std::string>& accepted) {
  const std::string given = concat(' ', normalise(text), ' ');
  return std::any_of(accepted.begin(), accepted.end(), [&](const auto& answer) {
    const std::string wanted = normalise(answer);
    return !wanted.empty() && given.find(concat(' ', wanted, ' ')) != std::string::npos;
  });
}

} // namespace errata::eval
