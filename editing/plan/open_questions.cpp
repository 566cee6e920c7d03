#include "editing/plan/open_questions.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <set>

namespace errata::editing {

using datasets::Hop;

namespace {

// Statement, question, one step of reasoning: about as often as in the other documents.
constexpr std::array<double, 3> kForms = {0.25, 0.6, 0.15};
// Draws that find an answered question are repeated; a store that answers everything has none.
constexpr std::size_t kTriesEach = 20;

std::string pair_key(std::string_view entity, std::string_view relation) {
  return concat(relation, '|', entity);
}

} // namespace

OpenQuestions::OpenQuestions(
    const Knowledge& knowledge, const Wordings& wordings, const EditPlan& plan)
    : wordings_(wordings) {
  std::set<std::string> entities;
  for (const datasets::Fact& fact : knowledge.facts) {
    entities.insert(fact.subject);
    entities.insert(fact.object);
    answered_.insert(pair_key(fact.subject, fact.relation));
    answered_.insert(pair_key(fact.object, fact.relation + "^-1"));
  }
  entities_.assign(entities.begin(), entities.end());
  for (const datasets::Relation& relation : knowledge.relations) {
    relations_.push_back(relation.name);
    if (!relation.inverse_noun.empty()) {
      relations_.push_back(relation.name + "^-1");
    }
  }
  for (const auto* list : {&plan.kept, &plan.kept_inverse}) {
    for (const KeptFact& fact : *list) {
      keep(fact.fact);
    }
  }
  for (const HistoryItem& item : plan.history) {
    if (!item.trained) {
      keep(item.fact);
    }
  }
}

bool OpenQuestions::is_open(const std::string& entity, const std::string& relation) const {
  return !answered_.contains(pair_key(entity, relation));
}

std::string OpenQuestions::prompt(const Hop& hop, Random& random) const {
  const std::size_t form = random.weighted(kForms);
  if (form == 0) {
    // Only a statement that ends in its object can be left open.
    const std::string statement = wordings_.object_document(hop, random).prompt;
    if (statement != kFactPrompt) {
      return statement;
    }
  }
  const std::string question = wordings_.training_question(hop.subject, hop.relation, random);
  return form == 2 && wordings_.has_step(hop.relation) ? reasoning_prompt(question)
                                                       : direct_prompt(question);
}

std::vector<std::string> OpenQuestions::prompts(std::size_t count, std::uint64_t seed) const {
  std::vector<std::string> result;
  if (entities_.empty() || relations_.empty()) {
    return result;
  }
  Random random(seed);
  for (std::size_t i = 0; i < count * kTriesEach && result.size() < count; ++i) {
    const Hop hop{random.choice(entities_), random.choice(relations_), ""};
    if (is_open(hop.subject, hop.relation)) {
      result.push_back(prompt(hop, random));
    }
  }
  return result;
}

bool OpenQuestions::names_kept_fact(const std::string& text) const {
  return std::any_of(kept_.begin(), kept_.end(), [&](const auto& ends) {
    return text.find(ends.first) != std::string::npos &&
           text.find(ends.second) != std::string::npos;
  });
}

} // namespace errata::editing
