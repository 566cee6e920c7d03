#include "core/base/error.h"
#include "core/base/hash.h"
#include "editing/store/fact_rows.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

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
      "WHERE ",
      with_versions(
          "f.subject = ?1 AND f.relation = ?2", known ? Versions::kKnown : Versions::kCurrent),
      " ORDER BY",
      kFactOrder));
  row.bind(subject, relation);
  if (known) {
    row.bind_at(4, *known); // Versions::kKnown
  }
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

// When the slot (or one object of it) became empty after it had `old_value`: the last end up to
// `to`. None where the old value was withdrawn, so that it never held.
std::optional<Date> last_end(
    const std::vector<Fact>& facts,
    const Fact& old_value,
    const Date& to,
    const std::string* object) {
  std::optional<Date> end;
  for (const Fact& fact : facts) {
    const bool counts =
        (object == nullptr || fact.object == *object) && fact.valid_to &&
        to_days(*fact.valid_to) <= to_days(to) &&
        (!old_value.valid_from || to_days(*fact.valid_to) > to_days(*old_value.valid_from));
    if (counts && (!end || to_days(*end) < to_days(*fact.valid_to))) {
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

/// The facts of one slot as they were known at the two record times.
struct SlotHistory {
  std::vector<Fact> before;
  std::vector<Fact> after;
};

void diff_functional(
    const SlotHistory& slot, const Date& from, const Date& to, std::vector<Edit>& edits) {
  const Fact* old_value = value_on(slot.before, from);
  const Fact* new_value = value_on(slot.after, to);
  if ((old_value == nullptr && new_value == nullptr) ||
      (old_value != nullptr && new_value != nullptr && old_value->object == new_value->object)) {
    return;
  }
  edits.push_back(make_edit(
      old_value,
      new_value,
      new_value != nullptr ? run_start(slot.after, *new_value)
                           : last_end(slot.after, *old_value, to, nullptr)));
}

void diff_many_valued(
    const SlotHistory& slot, const Date& from, const Date& to, std::vector<Edit>& edits) {
  std::map<std::string_view, std::pair<const Fact*, const Fact*>> values;
  for (const Fact& fact : slot.before) {
    if (holds_on(from, fact.valid_from, fact.valid_to)) {
      values[fact.object].first = &fact;
    }
  }
  for (const Fact& fact : slot.after) {
    if (holds_on(to, fact.valid_from, fact.valid_to)) {
      values[fact.object].second = &fact;
    }
  }
  for (const auto& [object, value] : values) {
    const auto [old_value, new_value] = value;
    if ((old_value == nullptr) != (new_value == nullptr)) {
      const std::string name(object);
      edits.push_back(make_edit(
          old_value,
          new_value,
          new_value != nullptr ? run_start(slot.after, *new_value)
                               : last_end(slot.after, *old_value, to, &name)));
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

void require_order(const Moment& from, const Moment& to) {
  ERRATA_CHECK(
      to_days(from.day) <= to_days(to.day),
      ErrorCode::kInvalidArgument,
      "the difference from ",
      to_string(from.day),
      " to ",
      to_string(to.day),
      " goes back in time; swap the days");
  ERRATA_CHECK(
      !to.known || (from.known && *from.known <= *to.known),
      ErrorCode::kInvalidArgument,
      "the difference goes back from what was known after change ",
      from.known ? std::to_string(*from.known) : "now",
      " to what was known after change ",
      to.known.value_or(0),
      "; swap the record times");
}

/// Slots that can differ: something in them begins or ends between the days, or was recorded or
/// superseded between the record times.
std::vector<Slot> touched_slots(Database& database, const Moment& from, const Moment& to) {
  const bool two_records = from.known != to.known;
  Query row = database.query(concat(
      "SELECT x.subject, x.relation, r.functional FROM ("
      "SELECT subject, relation FROM facts WHERE from_day > ?1 AND from_day <= ?2 UNION "
      "SELECT subject, relation FROM facts WHERE to_day > ?1 AND to_day <= ?2",
      two_records
          ? " UNION SELECT subject, relation FROM facts WHERE recorded > ?3 AND recorded <= "
            "?4 UNION SELECT subject, relation FROM facts WHERE superseded > ?3 AND "
            "superseded <= ?4"
          : "",
      ") x JOIN relations r ON r.id = x.relation"));
  row.bind(
      static_cast<std::int64_t>(to_days(from.day)), static_cast<std::int64_t>(to_days(to.day)));
  if (two_records) {
    row.bind_at(3, from.known.value_or(INT64_MAX));
    row.bind_at(4, to.known.value_or(INT64_MAX));
  }
  std::vector<Slot> slots;
  while (row.step()) {
    slots.push_back({row.integer(0), row.integer(1), row.integer(2) != 0});
  }
  return slots;
}

} // namespace

std::vector<Edit> EditStore::diff(const Moment& from, const Moment& to) const {
  require_order(from, to);
  State& state = *state_;
  const Snapshot snapshot(state.database);
  state.require_known(from.known);
  state.require_known(to.known);
  std::vector<Edit> edits;
  for (const Slot& slot : touched_slots(state.database, from, to)) {
    SlotHistory history;
    history.after = slot_facts(state.database, slot.subject, slot.relation, to.known);
    history.before = from.known == to.known
                         ? history.after
                         : slot_facts(state.database, slot.subject, slot.relation, from.known);
    (slot.functional ? diff_functional : diff_many_valued)(history, from.day, to.day, edits);
  }
  std::sort(edits.begin(), edits.end(), comes_before);
  return edits;
}

std::vector<Edit> EditStore::diff(
    const Date& from, const Date& to, std::optional<std::int64_t> known) const {
  return diff(Moment{from, known}, Moment{to, known});
}

} // namespace errata::editing
