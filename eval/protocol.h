#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace errata::eval {

/// How a question is put: answered at once, or in steps that end with "Answer: X".
enum class Mode { kDirect, kReasoning };

/// "direct" and "cot": the names in options and results.
std::string_view to_string(Mode mode) noexcept;

/// Where a free answer ends besides the end-of-sequence token (docs/metrics.md).
enum class StopRule {
  kEos,    ///< nowhere: the model has to stop by itself, else the answer is wrong
  kErrata, ///< a newline, or a full stop that ends a sentence; for models without a trained end
  kLocft,  ///< a newline or any full stop, as the LocFT evaluation does
};

std::string_view to_string(StopRule rule) noexcept;
/// `kInvalidArgument` for an unknown name.
StopRule parse_stop_rule(std::string_view name);

/// What is settled before the first token and stamped into every result.
struct Protocol {
  StopRule stop = StopRule::kEos;
  std::int64_t max_new_tokens_direct = 40;
  std::int64_t max_new_tokens_reasoning = 128;

  std::int64_t max_new_tokens(Mode mode) const noexcept {
    return mode == Mode::kDirect ? max_new_tokens_direct : max_new_tokens_reasoning;
  }
};

/// Where generated text ends by the rule: the place of the stop string, nothing while it has to go
/// on. A reasoned answer ends at a blank line, or by the rule once "Answer:" and some text stand
/// there.
std::optional<std::size_t> find_stop(std::string_view text, Mode mode, StopRule rule);

/// The answer in a finished text: all of it, or what follows the last "Answer:" of a reasoned one.
/// Nothing when a reasoned text never gets there.
std::optional<std::string> extract_answer(std::string_view text, Mode mode);

/// The fields that mark an answer as produced by this protocol and no other.
nlohmann::ordered_json to_json(const Protocol& protocol);

} // namespace errata::eval
