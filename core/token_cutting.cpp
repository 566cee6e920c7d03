#include "core/token_cutting.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <algorithm>
#include <array>
#include <utility>

namespace errata {
namespace {

using Cut = SearchPattern::Cut;

std::variant<std::string, Regex> parse_pattern(const Json& pattern, const std::string& where) {
  const JsonFields fields(pattern, where);
  if (fields.has("Regex")) {
    return Regex(fields.required<std::string>("Regex"), where);
  }
  auto text = fields.required<std::string>("String");
  ERRATA_CHECK(!text.empty(), ErrorCode::kCorrupt, where, ": 'String' is empty");
  return text;
}

// A match joins the part before it, when that is no match.
std::vector<Cut> merged_with_previous(const std::vector<Cut>& cuts) {
  std::vector<Cut> result;
  for (const Cut& cut : cuts) {
    if (cut.match && !result.empty() && !result.back().match) {
      result.back() = {result.back().begin, cut.end, true};
    } else {
      result.push_back(cut);
    }
  }
  return result;
}

std::vector<Cut> merged_with_next(std::vector<Cut> cuts) {
  std::vector<Cut> result;
  std::reverse(cuts.begin(), cuts.end());
  for (const Cut& cut : cuts) {
    if (cut.match && !result.empty() && !result.back().match) {
      result.back() = {cut.begin, result.back().end, true};
    } else {
      result.push_back(cut);
    }
  }
  std::reverse(result.begin(), result.end());
  return result;
}

std::vector<Cut> contiguous(const std::vector<Cut>& cuts) {
  std::vector<Cut> result;
  for (const Cut& cut : cuts) {
    if (!result.empty() && result.back().match == cut.match) {
      result.back().end = cut.end;
    } else {
      result.push_back(cut);
    }
  }
  return result;
}

std::vector<Cut> apply(std::vector<Cut> cuts, CutBehaviour behaviour) {
  switch (behaviour) {
    case CutBehaviour::kIsolated:
      return cuts;
    case CutBehaviour::kRemoved:
      std::erase_if(cuts, [](const Cut& cut) { return cut.match; });
      return cuts;
    case CutBehaviour::kMergedWithPrevious:
      return merged_with_previous(cuts);
    case CutBehaviour::kMergedWithNext:
      return merged_with_next(std::move(cuts));
    case CutBehaviour::kContiguous:
      return contiguous(cuts);
  }
  return cuts;
}

} // namespace

SearchPattern::SearchPattern(const Json& pattern, const std::string& where)
    : pattern_(parse_pattern(pattern, where)) {}

std::vector<Cut> SearchPattern::cut(std::string_view text) const {
  std::vector<Cut> cuts;
  std::size_t place = 0;
  const auto match = [&](std::size_t begin, std::size_t end) {
    if (begin > place) {
      cuts.push_back({place, begin, false});
    }
    cuts.push_back({begin, end, true});
    place = end;
  };
  if (const auto* fixed = std::get_if<std::string>(&pattern_)) {
    for (std::size_t found = text.find(*fixed); found != std::string_view::npos;
         found = text.find(*fixed, found + fixed->size())) {
      match(found, found + fixed->size());
    }
  } else {
    std::get<Regex>(pattern_).for_each_match(text, match);
  }
  if (place < text.size()) {
    cuts.push_back({place, text.size(), false});
  }
  return cuts;
}

std::string SearchPattern::replace(std::string_view text, const std::string& content) const {
  std::string result;
  for (const Cut& part : cut(text)) {
    result +=
        part.match ? std::string_view(content) : text.substr(part.begin, part.end - part.begin);
  }
  return result;
}

CutBehaviour parse_cut_behaviour(const std::string& name, const std::string& where) {
  constexpr std::array<std::pair<std::string_view, CutBehaviour>, 5> kNames = {{
      {"Isolated", CutBehaviour::kIsolated},
      {"Removed", CutBehaviour::kRemoved},
      {"MergedWithPrevious", CutBehaviour::kMergedWithPrevious},
      {"MergedWithNext", CutBehaviour::kMergedWithNext},
      {"Contiguous", CutBehaviour::kContiguous},
  }};
  for (const auto& [known, behaviour] : kNames) {
    if (known == name) {
      return behaviour;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kUnsupported,
      where,
      ": behaviour '",
      name,
      "' is not supported; supported: Isolated, Removed, MergedWithPrevious, MergedWithNext, "
      "Contiguous");
}

std::vector<std::string_view> cut_text(
    std::string_view text, const SearchPattern& pattern, CutBehaviour behaviour, bool invert) {
  std::vector<Cut> cuts = pattern.cut(text);
  for (Cut& cut : cuts) {
    cut.match = cut.match != invert;
  }
  std::vector<std::string_view> parts;
  for (const Cut& cut : apply(std::move(cuts), behaviour)) {
    parts.push_back(text.substr(cut.begin, cut.end - cut.begin));
  }
  return parts;
}

} // namespace errata
