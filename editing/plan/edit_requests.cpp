#include "editing/plan/edit_requests.h"

#include "core/base/error.h"
#include "editing/plan/edit_documents.h"

#include <algorithm>
#include <set>
#include <utility>

namespace errata::editing {
namespace {

void add_fact(
    std::vector<EditRequest>& requests,
    const datasets::Hop& hop,
    const std::string& id,
    const Wordings& wordings,
    std::size_t count) {
  const std::vector<std::string> questions = wordings.training_questions(hop.subject, hop.relation);
  for (std::size_t i = 0; i < std::min(count, questions.size()); ++i) {
    requests.push_back({id, direct_prompt(questions[i]), " " + hop.object, hop.subject});
  }
}

} // namespace

std::vector<EditRequest> edit_requests(
    const EditPlan& plan, const Wordings& wordings, std::size_t count) {
  std::vector<EditRequest> requests;
  for (const EditedSlot& slot : plan.slots) {
    add_fact(requests, slot.fact, slot.edit_id, wordings, count);
  }
  for (const auto* facts : {&plan.injected, &plan.injected_inverse}) {
    for (const datasets::Hop& hop : *facts) {
      add_fact(requests, hop, concat(hop.subject, ", ", hop.relation), wordings, count);
    }
  }
  for (const datasets::ExplicitEdit& edit : plan.explicit_edits) {
    const Document document = explicit_document(edit);
    requests.push_back({edit.id, document.prompt, document.completion, edit.subject});
  }
  // Inverse relations may ask in the same words for the same.
  std::set<std::pair<std::string, std::string>> known;
  std::erase_if(requests, [&](const EditRequest& request) {
    return !known.emplace(request.prompt, request.completion).second;
  });
  for (const EditRequest& request : requests) {
    ERRATA_CHECK(
        !request.subject.empty() && request.prompt.find(request.subject) != std::string::npos,
        ErrorCode::kInvalidArgument,
        "edit ",
        request.id,
        ": subject '",
        request.subject,
        "' is not in its prompt '",
        request.prompt,
        "'; this method edits at the subject's last token, so give `subject` as the prompt has it, "
        "leave the edit out, or use another method");
  }
  return requests;
}

} // namespace errata::editing
