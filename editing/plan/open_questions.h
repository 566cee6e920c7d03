#pragma once

#include "editing/plan/edit_plan.h"
#include "editing/plan/wordings.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace errata::editing {

/// Questions that the store has no answer to: a relation of an entity that has no such fact on any
/// day ("What is the capital of Kilimanjaro?"). What a model says to them is nobody's fact, but it
/// is made of all the names and forms that the model knows. Learnt again beside the edits, its own
/// answers keep those where rehearsal has nothing (`editing/echo.h`). Keeps references.
class OpenQuestions {
 public:
  OpenQuestions(const Knowledge& knowledge, const Wordings& wordings, const EditPlan& plan);

  /// `count` prompts in the forms of training documents, the same ones for a seed; none where the
  /// knowledge leaves no question open.
  std::vector<std::string> prompts(std::size_t count, std::uint64_t seed) const;

  /// Whether the text names both ends of a fact that the plan keeps out of training, by chance.
  bool names_kept_fact(const std::string& text) const;

 private:
  bool is_open(const std::string& entity, const std::string& relation) const;
  std::string prompt(const datasets::Hop& hop, Random& random) const;
  void keep(const datasets::Hop& hop) { kept_.emplace_back(hop.subject, hop.object); }

  const Wordings& wordings_;
  std::vector<std::string> entities_;
  std::vector<std::string> relations_; ///< inverse ones among them
  std::unordered_set<std::string> answered_;
  std::vector<std::pair<std::string, std::string>> kept_;
};

} // namespace errata::editing
