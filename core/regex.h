#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace errata {

/// A regular expression as tokenizer.json has them (Oniguruma's syntax, as far as PCRE2 shares it),
/// on UTF-8 and with Unicode's properties. Safe for concurrent use.
class Regex {
 public:
  /// An expression that does not compile is `kUnsupported` and names `where`.
  Regex(const std::string& expression, const std::string& where);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// Calls `found(begin, end)` for each match from left to right; empty ones are left out. `text`
  /// must be UTF-8.
  void for_each_match(
      std::string_view text, const std::function<void(std::size_t, std::size_t)>& found) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

} // namespace errata
