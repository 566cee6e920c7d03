#include "core/base/error.h"
#include "editing/store/fact_rows.h"
#include "editing/store/text_check.h"

#include <algorithm>

namespace errata::editing {
namespace {

using datasets::Fact;

/// What the end of a fact is and where it comes from.
struct End {
  std::optional<Date> valid_to;
  bool stated = false;
};

bool same_start(const std::optional<Date>& a, const std::optional<Date>& b) {
  return day_number(a) == day_number(b);
}

void check(const Fact& fact) {
  require_name(fact.subject, "the subject of a fact");
  require_name(fact.relation, "the relation of a fact");
  require_name(fact.object, "the object of a fact");
  require_names(fact.aliases, "an alias of a fact's object");
  require_text(fact.source, "the source of a fact");
  require_text(fact.note, "the note of a fact");
  ERRATA_CHECK(
      !fact.valid_from || !fact.valid_to || to_days(*fact.valid_from) < to_days(*fact.valid_to),
      ErrorCode::kInvalidArgument,
      "fact ",
      fact.subject,
      ", ",
      fact.relation,
      ", ",
      fact.object,
      ": it ends on ",
      to_string(fact.valid_to.value_or(Date{})),
      ", not after its start on ",
      to_string(fact.valid_from.value_or(Date{})));
}

class FactWriter {
 public:
  FactWriter(Database& database, std::int64_t change) : database_(database), change_(change) {}

  std::int64_t insert(
      std::int64_t subject,
      std::int64_t relation,
      std::int64_t object,
      const Fact& fact,
      const std::vector<std::string>& aliases,
      const End& end) {
    database_
        .query(
            "INSERT INTO facts (subject, relation, object, valid_from, valid_to, from_day, "
            "to_day, end_stated, provisional, source, note, recorded) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")
        .bind(
            subject,
            relation,
            object,
            fact.valid_from,
            end.valid_to,
            day_number(fact.valid_from),
            day_number(end.valid_to),
            end.stated,
            fact.provisional,
            fact.source,
            fact.note,
            change_)
        .run();
    const std::int64_t id = database_.last_id();
    std::int64_t position = 0;
    for (const std::string& alias : aliases) {
      database_.query("INSERT INTO fact_aliases VALUES (?1, ?2, ?3)")
          .bind(id, position++, alias)
          .run();
    }
    return id;
  }

  void withdraw(std::int64_t id) {
    database_.query("UPDATE facts SET superseded = ?2 WHERE id = ?1").bind(id, change_).run();
  }

  void replaced_by(std::int64_t old, std::int64_t replacement) {
    database_.query("UPDATE facts SET superseded_by = ?2 WHERE id = ?1")
        .bind(old, replacement)
        .run();
  }

  /// A new version that differs in its end alone.
  void change_end(const SlotRow& row, const End& end) {
    if (row.recorded == change_) { // nobody has seen this version yet
      database_.query("UPDATE facts SET valid_to = ?2, to_day = ?3, end_stated = ?4 WHERE id = ?1")
          .bind(row.id, end.valid_to, day_number(end.valid_to), end.stated)
          .run();
      return;
    }
    withdraw(row.id);
    database_
        .query(
            "INSERT INTO facts (subject, relation, object, valid_from, valid_to, from_day, "
            "to_day, end_stated, provisional, source, note, recorded) "
            "SELECT subject, relation, object, valid_from, ?2, from_day, ?3, ?4, provisional, "
            "source, note, ?5 FROM facts WHERE id = ?1")
        .bind(row.id, end.valid_to, day_number(end.valid_to), end.stated, change_)
        .run();
    const std::int64_t id = database_.last_id();
    database_
        .query(
            "INSERT INTO fact_aliases SELECT ?2, position, alias FROM fact_aliases "
            "WHERE fact = ?1")
        .bind(row.id, id)
        .run();
    replaced_by(row.id, id);
  }

 private:
  Database& database_;
  std::int64_t change_;
};

/// Where a fact of a functional slot ends whose end is not stated: at the start of the next one (of
/// several on one day as the least precise says it, so that their order does not matter).
std::optional<Date> next_start(
    const std::vector<SlotRow>& rows, const std::optional<Date>& valid_from) {
  std::optional<Date> next;
  for (const SlotRow& row : rows) {
    if (row.valid_from && day_number(row.valid_from) > day_number(valid_from) &&
        (!next || *row.valid_from < *next)) {
      next = row.valid_from;
    }
  }
  return next;
}

/// Brings the ends of `rows`, all current facts of a functional slot, up to date.
void infer_ends(FactWriter& writer, const std::vector<SlotRow>& rows) {
  for (const SlotRow& row : rows) {
    if (row.end_stated) {
      continue;
    }
    const auto end = next_start(rows, row.valid_from);
    if (end != row.valid_to) {
      writer.change_end(row, {end, false});
    }
  }
}

const SlotRow* find_same(
    const std::vector<SlotRow>& rows,
    std::optional<std::int64_t> object,
    const std::optional<Date>& valid_from) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const SlotRow& row) {
    return row.object == object && same_start(row.valid_from, valid_from);
  });
  return found == rows.end() ? nullptr : &*found;
}

End end_of_new(const Fact& fact, Succession succession, const SlotRow* same) {
  if (fact.valid_to || succession == Succession::kExact) {
    return {fact.valid_to, true};
  }
  return same != nullptr ? End{same->valid_to, same->end_stated} : End{std::nullopt, false};
}

std::string describe(const FactKey& key) {
  const std::string text = key.object ? brief({key.subject, key.relation, *key.object})
                                      : brief({key.subject, key.relation});
  return key.valid_from ? text + " from " + to_string(*key.valid_from) : text;
}

} // namespace

Outcome EditStore::add(const Fact& fact, Succession succession) {
  check(fact);
  State& state = *state_;
  // The log's note names the fact; within a larger change it would be made for nothing.
  const std::string note =
      state.writing ? std::string() : brief({fact.subject, fact.relation, fact.object});
  return state.write_checked("add", note, [&] {
    const RelationRow relation = state.require_relation(fact.relation);
    const auto known_subject = state.entity_id(fact.subject);
    const auto known_object = state.entity_id(fact.object);
    std::vector<SlotRow> rows;
    if (known_subject) {
      rows = current_slot(state.database, *known_subject, relation.id);
    }
    const SlotRow* same = known_object ? find_same(rows, known_object, fact.valid_from) : nullptr;
    End end = end_of_new(fact, succession, same);
    std::vector<std::string> aliases;
    if (same != nullptr) {
      aliases = fact_aliases(state.database, same->id);
    }
    const std::size_t before = aliases.size();
    for (const std::string& alias : fact.aliases) {
      if (std::find(aliases.begin(), aliases.end(), alias) == aliases.end()) {
        aliases.push_back(alias);
      }
    }
    if (same != nullptr) {
      if (same->valid_from == fact.valid_from && same->valid_to == end.valid_to &&
          same->end_stated == end.stated && same->provisional == fact.provisional &&
          before == aliases.size()) {
        return Outcome::kUnchanged;
      }
    }
    const std::int64_t change = state.require_change();
    const std::int64_t subject =
        known_subject ? *known_subject : state.require_entity(fact.subject);
    const std::int64_t object = known_object ? *known_object : state.require_entity(fact.object);
    FactWriter writer(state.database, change);
    const std::int64_t replaced = same != nullptr ? same->id : 0;
    if (replaced != 0) {
      writer.withdraw(replaced);
      std::erase_if(rows, [&](const SlotRow& row) { return row.id == replaced; });
    }
    if (relation.functional && !end.stated) {
      end.valid_to = next_start(rows, fact.valid_from);
    }
    const std::int64_t id = writer.insert(subject, relation.id, object, fact, aliases, end);
    if (replaced != 0) {
      writer.replaced_by(replaced, id);
    }
    if (relation.functional) {
      rows.push_back(
          {id, object, fact.valid_from, end.valid_to, end.stated, fact.provisional, change});
      infer_ends(writer, rows);
    }
    state.bulk.count(state.database);
    return replaced != 0 ? Outcome::kSuperseded : Outcome::kAdded;
  });
}

std::vector<SlotRow> EditStore::State::require_matching(const FactKey& key) {
  const RelationRow relation = require_relation(key.relation);
  const auto subject = entity_id(key.subject);
  const auto object = key.object ? entity_id(*key.object) : std::nullopt;
  std::vector<SlotRow> rows;
  if (subject) {
    rows = current_slot(database, *subject, relation.id);
  }
  std::erase_if(rows, [&](const SlotRow& row) {
    return (key.object && row.object != object) ||
           (key.valid_from && !same_start(row.valid_from, key.valid_from));
  });
  ERRATA_CHECK(
      !rows.empty(),
      ErrorCode::kInvalidArgument,
      database.path().string(),
      ": no current fact ",
      describe(key),
      "; 'errata store show' lists what is known of a subject");
  return rows;
}

std::int64_t EditStore::retract(const FactKey& key, std::string_view note) {
  State& state = *state_;
  return state.write("retract", note.empty() ? describe(key) : std::string(note), [&] {
    const std::vector<SlotRow> rows = state.require_matching(key);
    const std::int64_t change = state.require_change();
    FactWriter writer(state.database, change);
    for (const SlotRow& row : rows) {
      writer.withdraw(row.id);
    }
    const RelationRow relation = state.require_relation(key.relation);
    if (relation.functional) {
      infer_ends(writer, current_slot(state.database, *state.entity_id(key.subject), relation.id));
    }
    return static_cast<std::int64_t>(rows.size());
  });
}

std::int64_t EditStore::end(const FactKey& key, const Date& day, std::string_view note) {
  State& state = *state_;
  return state.write("end", note.empty() ? describe(key) : std::string(note), [&] {
    std::vector<SlotRow> rows = state.require_matching(key);
    std::erase_if(rows, [&](const SlotRow& row) {
      const bool started = !row.valid_from || to_days(*row.valid_from) < to_days(day);
      return !started || (row.valid_to && to_days(*row.valid_to) <= to_days(day));
    });
    ERRATA_CHECK(
        !rows.empty(),
        ErrorCode::kInvalidArgument,
        path().string(),
        ": no current fact ",
        describe(key),
        " began before ",
        to_string(day),
        " and still held then; to withdraw a wrong fact retract it without a day");
    const std::int64_t change = state.require_change();
    FactWriter writer(state.database, change);
    for (const SlotRow& row : rows) {
      writer.change_end(row, {day, true});
    }
    return static_cast<std::int64_t>(rows.size());
  });
}

} // namespace errata::editing
