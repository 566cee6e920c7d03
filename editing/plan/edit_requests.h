#pragma once

#include "editing/plan/edit_plan.h"
#include "editing/plan/wordings.h"

#include <cstddef>
#include <string>
#include <vector>

namespace errata::editing {

/// An edit as editors take it that look for it in the model: a prompt that names its subject.
struct EditRequest {
  std::string id;         ///< of the edit, for messages
  std::string prompt;     ///< "Question: What is the capital of Italy?\nAnswer:"
  std::string completion; ///< " Rome"
  std::string subject;    ///< "Italy", part of the prompt
};

/// Every edit of `plan` and every fact that comes with them in up to `count` of its training
/// questions, a request each; edits given outright once, by their prompts. What would be asked
/// twice in the same words comes once. An edit whose prompt does not hold its subject is
/// `kInvalidArgument`.
std::vector<EditRequest> edit_requests(
    const EditPlan& plan, const Wordings& wordings, std::size_t count);

} // namespace errata::editing
