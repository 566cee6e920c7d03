#pragma once

#include "core/tokenizer.h"
#include "editing/plan/edit_requests.h"

#include <cstdint>
#include <string>
#include <vector>

namespace errata::editing {

/// A prompt and its target as tokens, and where in it the subject ends.
struct LocatedPrompt {
  std::vector<std::int32_t> tokens;
  std::int64_t subject_last = 0; ///< the token that holds the subject's last character
  std::int64_t first_label = 0;  ///< the target's first token; `tokens.size()` without a target

  std::int64_t rows() const { return static_cast<std::int64_t>(tokens.size()); }
};

/// BOS where the family has one, `context`, prompt and target; the end of sequence is not part of a
/// target. Of several occurrences in the prompt the last one is the subject.
LocatedPrompt locate_prompt(
    const EditRequest& request, const std::string& context, const Tokenizer& tokenizer);

/// "<subject> is a", at which the model is to stay as it was.
LocatedPrompt locate_subject(const EditRequest& request, const Tokenizer& tokenizer);

/// One value to find: it is to make the model give the targets of all `prompts`.
struct ValueProblem {
  std::vector<LocatedPrompt> prompts; ///< of each request the bare one, then behind each context
  LocatedPrompt about;                ///< "<subject> is a": what is said there is to stay
};

/// The problems that `requests` pose. Those whose prompts are the same up to the subject's last
/// token have one key there, so that one value must do for all of them (MEMIT-Merge, 2502.07322).
std::vector<ValueProblem> value_problems(
    const std::vector<EditRequest>& requests,
    const std::vector<std::string>& contexts,
    const Tokenizer& tokenizer);

} // namespace errata::editing
