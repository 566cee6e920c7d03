#include "core/regex.h"

#include "core/base/error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <array>
#include <pcre2.h>

namespace errata {
namespace {

// PCRE2's \s has U+180E, which is no white space since Unicode 6.3 and none to Oniguruma.
std::string with_unicode_spaces(const std::string& expression) {
  constexpr const char* kSpaces = R"(\t-\r\x{85}\p{Z})";
  std::string result;
  bool in_class = false;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c != '\\' || i + 1 == expression.size()) {
      in_class = c == '[' ? true : c == ']' ? false : in_class;
      result += c;
      continue;
    }
    const char escaped = expression[++i];
    if (escaped == 's') {
      result += in_class ? kSpaces : concat("[", kSpaces, "]");
    } else if (escaped == 'S' && !in_class) {
      result += concat("[^", kSpaces, "]");
    } else {
      result += {c, escaped};
    }
  }
  return result;
}

struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

} // namespace

struct Regex::Code {
  Code(const std::string& expression, const std::string& where) {
    const std::string pattern = with_unicode_spaces(expression);
    int error = 0;
    PCRE2_SIZE place = 0;
    compiled = pcre2_compile(
        reinterpret_cast<PCRE2_SPTR>(pattern.data()),
        pattern.size(),
        PCRE2_UTF | PCRE2_UCP,
        &error,
        &place,
        nullptr);
    ERRATA_CHECK(
        compiled != nullptr,
        ErrorCode::kUnsupported,
        where,
        ": regular expression '",
        expression,
        "' is not one that errata can use (",
        message_of(error),
        ")");
    // Without it (a machine that PCRE2 has no compiler for) matching is slower, nothing else.
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
  }
  ~Code() { pcre2_code_free(compiled); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;

  pcre2_code* compiled = nullptr;
};

Regex::Regex(const std::string& expression, const std::string& where)
    : code_(std::make_unique<Code>(expression, where)) {}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

void Regex::for_each_match(
    std::string_view text, const std::function<void(std::size_t, std::size_t)>& found) const {
  const std::unique_ptr<pcre2_match_data, FreeMatch> match(
      pcre2_match_data_create_from_pattern(code_->compiled, nullptr));
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  std::uint32_t options = 0;
  for (std::size_t place = 0; place < text.size();) {
    const int count =
        pcre2_match(code_->compiled, subject, text.size(), place, options, match.get(), nullptr);
    if (count == PCRE2_ERROR_NOMATCH) {
      return;
    }
    ERRATA_CHECK(count > 0, ErrorCode::kInvalidArgument, "tokenizer: ", message_of(count));
    options = PCRE2_NO_UTF_CHECK; // once is enough
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(match.get());
    if (ends[1] > ends[0]) {
      found(ends[0], ends[1]);
      place = ends[1];
      continue;
    }
    // An empty match: on to the next character.
    for (place = ends[1] + 1;
         place < text.size() && (static_cast<unsigned char>(text[place]) & 0xC0U) == 0x80U;) {
      ++place;
    }
  }
}

} // namespace errata
