#pragma once

#include "core/regex.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace errata {

/// What a step of tokenizer.json looks for: a fixed text or a regular expression.
class SearchPattern {
 public:
  /// `{"String": ...}` or `{"Regex": ...}`.
  SearchPattern(const nlohmann::json& pattern, const std::string& where);
  explicit SearchPattern(Regex regex) : pattern_(std::move(regex)) {}

  /// Cuts all of `text` into matches and what lies between them.
  struct Cut {
    std::size_t begin;
    std::size_t end;
    bool match;
  };
  std::vector<Cut> cut(std::string_view text) const;
  std::string replace(std::string_view text, const std::string& content) const;

 private:
  std::variant<std::string, Regex> pattern_;
};

/// What becomes of the matches (tokenizers' `SplitDelimiterBehavior`).
enum class CutBehaviour { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
CutBehaviour parse_cut_behaviour(const std::string& name, const std::string& where);

/// The parts of `text` that are left, in order; none of them is empty.
std::vector<std::string_view> cut_text(
    std::string_view text,
    const SearchPattern& pattern,
    CutBehaviour behaviour,
    bool invert = false);

} // namespace errata
