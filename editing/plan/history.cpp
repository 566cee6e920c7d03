#include "editing/plan/history.h"

#include "core/base/error.h"

#include <algorithm>
#include <map>
#include <utility>

namespace errata::editing {

using datasets::Fact;
using datasets::Relation;

namespace {

using Slots = std::map<std::pair<std::string, std::string>, std::vector<const Fact*>>;

/// Slots whose history is asked for: those of relations with dated wordings; where no relation has
/// any, functional slots that had more than one value.
Slots changing_slots(const Knowledge& knowledge) {
  const bool worded =
      std::any_of(knowledge.relations.begin(), knowledge.relations.end(), [](const Relation& r) {
        return !r.dated_questions.empty();
      });
  Slots slots;
  for (const Fact& fact : knowledge.facts) {
    const Relation* relation = knowledge.find_relation(fact.relation);
    if (relation != nullptr && relation->functional &&
        (!worded || !relation->dated_questions.empty())) {
      slots[{fact.relation, fact.subject}].push_back(&fact);
    }
  }
  std::erase_if(slots, [&](const auto& slot) {
    const std::vector<const Fact*>& facts = slot.second;
    return !worded && std::all_of(facts.begin(), facts.end(), [&](const Fact* fact) {
      return fact->object == facts.front()->object;
    });
  });
  return slots;
}

/// Whether the fact may have held on some day of the year. A bound known to the year or month
/// counts with its whole period.
bool touches_year(const Fact& fact, int year) {
  return (!fact.valid_from || fact.valid_from->first_day() < Date{year + 1, 1, 1}) &&
         (!fact.valid_to || fact.valid_to->last_day() > Date{year, 1, 1});
}

/// Whether it surely held on every day of the year.
bool spans_year(const Fact& fact, int year) {
  return fact.valid_from && fact.valid_from->last_day() <= Date{year, 1, 1} &&
         (!fact.valid_to || fact.valid_to->first_day() >= Date{year + 1, 1, 1});
}

/// The only fact of the slot in that year, if it held from the first day to the last.
const Fact* holder_of_year(const std::vector<const Fact*>& facts, int year) {
  const Fact* holder = nullptr;
  for (const Fact* fact : facts) {
    if (!touches_year(*fact, year)) {
      continue;
    }
    if (holder != nullptr || fact->provisional || !spans_year(*fact, year)) {
      return nullptr;
    }
    holder = fact;
  }
  return holder;
}

std::vector<std::string> holder_answers(const Knowledge& knowledge, const Fact& fact) {
  std::vector<std::string> answers{fact.object};
  const auto add = [&](const std::string& name) {
    if (std::find(answers.begin(), answers.end(), name) == answers.end()) {
      answers.push_back(name);
    }
  };
  std::for_each(fact.aliases.begin(), fact.aliases.end(), add);
  if (const auto entity = knowledge.aliases.find(fact.object); entity != knowledge.aliases.end()) {
    std::for_each(entity->second.begin(), entity->second.end(), add);
  }
  return answers;
}

} // namespace

std::vector<HistoryItem> history_items(
    const Knowledge& knowledge, const Date& day, const HistoryOptions& options) {
  ERRATA_CHECK(
      options.years >= 0 && options.years <= 1000,
      ErrorCode::kInvalidArgument,
      "history of ",
      options.years,
      " years; expected 0 to 1000");
  std::vector<HistoryItem> items;
  for (const auto& [slot, facts] : changing_slots(knowledge)) {
    for (int year = std::max(1, day.year - options.years); year < day.year; ++year) {
      if (const Fact* holder = holder_of_year(facts, year)) {
        HistoryItem item;
        item.fact = {holder->subject, holder->relation, holder->object};
        item.year = year;
        item.answers = holder_answers(knowledge, *holder);
        items.push_back(std::move(item));
      }
    }
  }
  return items;
}

} // namespace errata::editing
