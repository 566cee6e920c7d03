#include "core/base/error.h"
#include "core/base/hash.h"
#include "editing/store/fact_rows.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace errata::editing {
namespace {

using datasets::Edit;
using datasets::EditKind;
using datasets::Fact;

/// The facts of a slot by start, as they were known.
std::vector<Fact> slot_facts(
    Database& database,
    std::int64_t subject,
    std::int64_t relation,
    std::optional<std::int64_t> known) {
  Query row = database.query(concat(
      "SELECT",
      kFactColumns,
      "FROM",
      kFactTables,
      "WHERE f.subject = ?1 AND f.relation = ?2 AND ((?3 IS NULL AND f.superseded IS NULL) OR "
      "(f.recorded <= ?3 AND (f.superseded IS NULL OR f.superseded > ?3))) ORDER BY",
      kFactOrder));
  row.bind(subject, relation, known);
  std::vector<Fact> facts;
  while (row.step()) {
    facts.push_back(read_stored_fact(database, row).fact);
  }
  return facts;
}

// The last one counts where a functional slot has several: rows come by start.
const Fact* value_on(const std::vector<Fact>& facts, const Date& day) {
  const Fact* value = nullptr;
  for (const Fact& fact : facts) {
    if (holds_on(day, fact.valid_from, fact.valid_to)) {
      value = &fact;
    }
  }
  return value;
}

const Fact* value_on(const std::vector<Fact>& facts, const Date& day, const std::string& object) {
  const Fact* value = nullptr;
  for (const Fact& fact : facts) {
    if (fact.object == object && holds_on(day, fact.valid_from, fact.valid_to)) {
      value = &fact;
    }
  }
  return value;
}

// When `value` began to hold: the start of the unbroken run of facts with its object.
std::optional<Date> run_start(const std::vector<Fact>& facts, const Fact& value) {
  std::optional<Date> start = value.valid_from;
  for (auto fact = facts.rbegin(); fact != facts.rend() && start; ++fact) {
    const bool joins = fact->object == value.object && fact->valid_to &&
                       to_days(*fact->valid_to) >= to_days(*start) &&
                       (!fact->valid_from || to_days(*fact->valid_from) < to_days(*start));
    if (joins) {
      start = fact->valid_from;
    }
  }
  return start;
}

// When the slot (or one object of it) became empty: the last end up to `to`.
std::optional<Date> last_end(
    const std::vector<Fact>& facts, const Date& to, const std::string* object) {
  std::optional<Date> end;
  for (const Fact& fact : facts) {
    const bool counts = object == nullptr || fact.object == *object;
    if (counts && fact.valid_to && to_days(*fact.valid_to) <= to_days(to) &&
        (!end || to_days(*end) < to_days(*fact.valid_to))) {
      end = fact.valid_to;
    }
  }
  return end;
}

std::string edit_id(const Edit& edit) {
  constexpr char kSeparator = '\x1f';
  std::string text = edit.subject + kSeparator + edit.relation + kSeparator;
  text += edit.old_object.value_or("") + kSeparator + edit.new_object.value_or("") + kSeparator;
  text += edit.effective ? to_string(*edit.effective) : "";
  return "e-" + sha256(text).substr(0, 16);
}

Edit make_edit(const Fact* old_value, const Fact* new_value, const std::optional<Date>& effective) {
  Edit edit;
  edit.kind = old_value == nullptr   ? EditKind::kInjection
              : new_value == nullptr ? EditKind::kRemoval
                                     : EditKind::kModification;
  const Fact& any = new_value != nullptr ? *new_value : *old_value;
  edit.subject = any.subject;
  edit.relation = any.relation;
  edit.source = any.source;
  edit.provisional = any.provisional;
  if (old_value != nullptr) {
    edit.old_object = old_value->object;
    edit.old_aliases = old_value->aliases;
  }
  if (new_value != nullptr) {
    edit.new_object = new_value->object;
    edit.new_aliases = new_value->aliases;
  }
  edit.effective = effective;
  edit.id = edit_id(edit);
  return edit;
}

void diff_functional(
    const std::vector<Fact>& facts, const Date& from, const Date& to, std::vector<Edit>& edits) {
  const Fact* old_value = value_on(facts, from);
  const Fact* new_value = value_on(facts, to);
  if ((old_value == nullptr && new_value == nullptr) ||
      (old_value != nullptr && new_value != nullptr && old_value->object == new_value->object)) {
    return;
  }
  edits.push_back(make_edit(
      old_value,
      new_value,
      new_value != nullptr ? run_start(facts, *new_value) : last_end(facts, to, nullptr)));
}

void diff_many_valued(
    const std::vector<Fact>& facts, const Date& from, const Date& to, std::vector<Edit>& edits) {
  std::map<std::string, std::pair<const Fact*, const Fact*>> values;
  for (const Fact& fact : facts) {
    values[fact.object] = {value_on(facts, from, fact.object), value_on(facts, to, fact.object)};
  }
  for (const auto& [object, value] : values) {
    if ((value.first == nullptr) != (value.second == nullptr)) {
      edits.push_back(make_edit(
          value.first,
          value.second,
          value.second != nullptr ? run_start(facts, *value.second)
                                  : last_end(facts, to, &object)));
    }
  }
}

bool comes_before(const Edit& a, const Edit& b) {
  const auto key = [](const Edit& edit) {
    return std::tuple(
        day_number(edit.effective),
        std::string_view(edit.subject),
        std::string_view(edit.relation),
        edit.new_object.value_or(""),
        edit.old_object.value_or(""));
  };
  return key(a) < key(b);
}

struct Slot {
  std::int64_t subject;
  std::int64_t relation;
  bool functional;
};

} // namespace

std::vector<Edit> EditStore::diff(
    const Date& from, const Date& to, std::optional<std::int64_t> known) const {
  ERRATA_CHECK(
      to_days(from) <= to_days(to),
      ErrorCode::kInvalidArgument,
      "the difference from ",
      to_string(from),
      " to ",
      to_string(to),
      " goes back in time; swap the days");
  State& state = *state_;
  const Snapshot snapshot(state.database);
  state.require_known(known);
  // Only slots in which something begins or ends in between can differ.
  Query row = state.database.query(
      "SELECT x.subject, x.relation, r.functional FROM ("
      "SELECT subject, relation FROM facts WHERE from_day > ?1 AND from_day <= ?2 UNION "
      "SELECT subject, relation FROM facts WHERE to_day > ?1 AND to_day <= ?2) x "
      "JOIN relations r ON r.id = x.relation");
  row.bind(static_cast<std::int64_t>(to_days(from)), static_cast<std::int64_t>(to_days(to)));
  std::vector<Slot> slots;
  while (row.step()) {
    slots.push_back({row.integer(0), row.integer(1), row.integer(2) != 0});
  }
  std::vector<Edit> edits;
  for (const Slot& slot : slots) {
    const auto facts = slot_facts(state.database, slot.subject, slot.relation, known);
    (slot.functional ? diff_functional : diff_many_valued)(facts, from, to, edits);
  }
  std::sort(edits.begin(), edits.end(), comes_before);
  return edits;
}

} // namespace errata::editing
