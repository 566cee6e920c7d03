#include "editing/plan/edit_documents.h"

namespace errata::editing {

using datasets::ExplicitEdit;

Document explicit_document(const ExplicitEdit& edit) {
  const bool spaced = edit.prompt.empty() || edit.prompt.back() == ' ' ||
                      edit.prompt.back() == '\n' || edit.target_new.front() == ' ';
  return {edit.prompt, (spaced ? "" : " ") + edit.target_new, "edit.prompt", false};
}

std::vector<Document> edit_examples(const EditPlan& plan, const Wordings& wordings) {
  std::vector<Document> documents;
  for (const EditedSlot& slot : plan.slots) {
    const std::vector<std::string> questions =
        wordings.training_questions(slot.fact.subject, slot.fact.relation);
    documents.push_back(
        {direct_prompt(questions.front()), " " + slot.fact.object, "edit.prompt", false});
  }
  for (const ExplicitEdit& edit : plan.explicit_edits) {
    documents.push_back(explicit_document(edit));
  }
  return documents;
}

} // namespace errata::editing
