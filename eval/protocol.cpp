#include "eval/protocol.h"

#include "core/base/json.h"
#include "editing/plan/wordings.h"
#include "eval/normalise.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace errata::eval {
namespace {

using editing::kAnswerMark;

// Abbreviations in which a full stop does not end an answer: lower case, without the stop.
constexpr std::array<std::string_view, 17> kAbbreviations = {
    "st",
    "ste",
    "mt",
    "ft",
    "dr",
    "mr",
    "mrs",
    "ms",
    "jr",
    "sr",
    "prof",
    "gen",
    "col",
    "sgt",
    "no",
    "vs",
    "rev"};

bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

// "J. Smith", "U.S." and "St. Louis" go on after their stops.
bool is_abbreviation(std::string_view text, std::size_t stop) {
  std::size_t first = stop;
  while (first > 0 && is_letter(text[first - 1])) {
    --first;
  }
  std::string word(text.substr(first, stop - first));
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  // A byte above ASCII in front belongs to the word: "Xé." is more than a single letter.
  const bool whole = first == 0 || static_cast<unsigned char>(text[first - 1]) < 0x80;
  return whole &&
         (word.size() == 1 ||
          std::find(kAbbreviations.begin(), kAbbreviations.end(), word) != kAbbreviations.end());
}

bool ends_here(std::string_view text, std::size_t at, StopRule rule) {
  if (text[at] == '\n') {
    return true;
  }
  if (text[at] != '.') {
    return false;
  }
  if (rule == StopRule::kLocft) {
    return true;
  }
  const bool followed =
      at + 1 == text.size() || std::isspace(static_cast<unsigned char>(text[at + 1])) != 0;
  return followed && !is_abbreviation(text, at);
}

std::optional<std::size_t> find_answer_end(std::string_view text, std::size_t from, StopRule rule) {
  for (std::size_t at = from; at < text.size(); ++at) {
    if (ends_here(text, at, rule) && !trim(text.substr(from, at - from)).empty()) {
      return at;
    }
  }
  return std::nullopt;
}

} // namespace

std::string_view to_string(Mode mode) noexcept {
  return mode == Mode::kDirect ? "direct" : "cot";
}

std::string_view to_string(StopRule rule) noexcept {
  switch (rule) {
    case StopRule::kEos:
      return "eos";
    case StopRule::kErrata:
      return "errata";
    case StopRule::kLocft:
      break;
  }
  return "locft";
}

StopRule parse_stop_rule(std::string_view name) {
  for (const StopRule rule : {StopRule::kEos, StopRule::kErrata, StopRule::kLocft}) {
    if (name == to_string(rule)) {
      return rule;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument, "stop rule '", name, "' is unknown; use eos, errata or locft");
}

std::optional<std::size_t> find_stop(std::string_view text, Mode mode, StopRule rule) {
  if (rule == StopRule::kEos) {
    return std::nullopt;
  }
  if (mode == Mode::kDirect) {
    return find_answer_end(text, 0, rule);
  }
  const std::size_t mark = text.find(kAnswerMark);
  const std::size_t blank = text.find("\n\n");
  if (mark == std::string_view::npos || blank < mark) {
    return blank == std::string_view::npos ? std::nullopt : std::optional(blank);
  }
  return find_answer_end(text, mark + kAnswerMark.size(), rule);
}

std::optional<std::string> extract_answer(std::string_view text, Mode mode) {
  if (mode == Mode::kDirect) {
    return std::string(trim(text));
  }
  const std::size_t mark = text.rfind(kAnswerMark);
  if (mark == std::string_view::npos) {
    return std::nullopt;
  }
  return std::string(trim(text.substr(mark + kAnswerMark.size())));
}

OrderedJson to_json(const Protocol& protocol) {
  return {
      {"protocol", "autoregressive"},
      {"decoding", "greedy"},
      {"stop", to_string(protocol.stop)},
      {"max_new_tokens",
       {{"direct", protocol.max_new_tokens_direct}, {"cot", protocol.max_new_tokens_reasoning}}},
      {"scorer", "em"},
      {"normalisation", kNormalisation},
      {"aliases", true},
      {"few_shot", 0},
      {"chat_template", false}};
}

} // namespace errata::eval
