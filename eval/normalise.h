#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace errata::eval {

/// What stands in results as the name of this normalisation: another rule gets another name.
inline constexpr std::string_view kNormalisation = "errata-1";

/// Text as answers are compared: NFKC and full Unicode case folding, curly quotes to ASCII, ASCII
/// punctuation deleted, the words a, an and the deleted, white space collapsed, in that order
/// (docs/metrics.md). Bytes that are not UTF-8 count as U+FFFD.
std::string normalise(std::string_view text);

/// Without white space at both ends.
std::string_view trim(std::string_view text) noexcept;

/// `normalise(text)` equals that of an accepted answer. Nothing matches a text that normalises to
/// nothing.
bool matches(std::string_view text, const std::vector<std::string>& accepted);

/// As `matches` without normalisation, after trimming.
bool matches_exactly(std::string_view text, const std::vector<std::string>& accepted);

/// An accepted answer occurs in `text` on word boundaries, both normalised: a diagnostic, never an
/// accuracy.
bool contains_answer(std::string_view text, const std::vector<std::string>& accepted);

} // namespace errata::eval
