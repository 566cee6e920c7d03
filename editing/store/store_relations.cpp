#include "core/base/did_you_mean.h"
#include "core/base/error.h"
#include "editing/store/store_state.h"
#include "editing/store/text_check.h"

#include <algorithm>
#include <array>

namespace errata::editing {
namespace {

using datasets::Entity;
using datasets::Relation;

struct WordingKind {
  const char* name;
  std::vector<std::string> Relation::*list;
};

constexpr std::array<WordingKind, 6> kWordings = {{
    {"statement", &Relation::statements},
    {"question", &Relation::questions},
    {"noun", &Relation::noun},
    {"inverse_noun", &Relation::inverse_noun},
    {"dated_statement", &Relation::dated_statements},
    {"dated_question", &Relation::dated_questions},
}};

bool same(const Relation& a, const Relation& b) {
  return a.functional == b.functional && a.inverse == b.inverse && a.step == b.step &&
         std::all_of(kWordings.begin(), kWordings.end(), [&](const WordingKind& kind) {
           return a.*kind.list == b.*kind.list;
         });
}

Relation read_relation(Database& database, Query& row) {
  Relation relation;
  relation.name = row.text(1);
  relation.functional = row.integer(2) != 0;
  relation.inverse = row.text(3);
  relation.step = row.text(4);
  Query wording =
      database.query("SELECT kind, text FROM wordings WHERE relation = ?1 ORDER BY kind, position");
  wording.bind(row.integer(0));
  while (wording.step()) {
    const auto kind = std::find_if(kWordings.begin(), kWordings.end(), [&](const WordingKind& k) {
      return wording.text(0) == k.name;
    });
    ERRATA_CHECK(
        kind != kWordings.end(),
        ErrorCode::kCorrupt,
        database.path().string(),
        " is damaged: relation '",
        relation.name,
        "' has a wording of no known kind; restore it from a dump or a copy");
    (relation.*kind->list).push_back(wording.text(1));
  }
  return relation;
}

void write_wordings(Database& database, std::int64_t id, const Relation& relation) {
  database.query("DELETE FROM wordings WHERE relation = ?1").bind(id).run();
  for (const WordingKind& kind : kWordings) {
    std::int64_t position = 0;
    for (const std::string& text : relation.*kind.list) {
      database.query("INSERT INTO wordings VALUES (?1, ?2, ?3, ?4)")
          .bind(id, kind.name, position++, text)
          .run();
    }
  }
}

void check(const Relation& relation) {
  require_name(relation.name, "the name of a relation");
  require_text(relation.inverse, "the inverse of a relation");
  require_text(relation.step, "the step of a relation");
  for (const WordingKind& kind : kWordings) {
    require_names(relation.*kind.list, concat("a ", kind.name, " of '", relation.name, "'"));
  }
}

} // namespace

RelationRow EditStore::State::require_relation(std::string_view name) {
  if (const auto known = names.relations.find(name); known != names.relations.end()) {
    return known->second;
  }
  Query found = database.query("SELECT id, functional FROM relations WHERE name = ?1");
  found.bind(name);
  if (found.step()) {
    const RelationRow row{found.integer(0), found.integer(1) != 0};
    if (writing) {
      names.relations.emplace(name, row);
    }
    return row;
  }
  std::vector<std::string> known;
  Query all = database.query("SELECT name FROM relations ORDER BY name");
  while (all.step()) {
    known.push_back(all.text(0));
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument,
      database.path().string(),
      ": unknown relation '",
      name.substr(0, 80),
      "'",
      did_you_mean(
          name,
          known,
          known.empty() ? "; the store has no relations yet, import some first"
                        : "; 'errata store show' lists the relations"));
}

std::optional<std::int64_t> EditStore::State::entity_id(std::string_view name) {
  if (const auto known = names.entities.find(name); known != names.entities.end()) {
    return known->second;
  }
  Query found = database.query("SELECT id FROM entities WHERE name = ?1");
  found.bind(name);
  if (!found.step()) {
    return std::nullopt;
  }
  const std::int64_t id = found.integer(0);
  if (writing) {
    names.keep(name, id);
  }
  return id;
}

std::int64_t EditStore::State::require_entity(std::string_view name) {
  if (const auto id = entity_id(name)) {
    return *id;
  }
  database.query("INSERT INTO entities (name) VALUES (?1)").bind(name).run();
  const std::int64_t id = database.last_id();
  names.keep(name, id);
  return id;
}

Outcome EditStore::put_relation(const Relation& relation) {
  check(relation);
  State& state = *state_;
  return state.write("relation", brief({relation.name}), [&] {
    state.names.relations.erase(relation.name);
    Query found = state.database.query(
        "SELECT id, name, functional, inverse, step FROM relations WHERE name = ?1");
    found.bind(relation.name);
    if (!found.step()) {
      state.require_change();
      state.database
          .query("INSERT INTO relations (name, functional, inverse, step) VALUES (?1, ?2, ?3, ?4)")
          .bind(relation.name, relation.functional, relation.inverse, relation.step)
          .run();
      write_wordings(state.database, state.database.last_id(), relation);
      return Outcome::kAdded;
    }
    const Relation old = read_relation(state.database, found);
    if (same(old, relation)) {
      return Outcome::kUnchanged;
    }
    const std::int64_t id = found.integer(0);
    Query used = state.database.query("SELECT 1 FROM facts WHERE relation = ?1 LIMIT 1");
    used.bind(id);
    ERRATA_CHECK(
        old.functional == relation.functional || !used.step(),
        ErrorCode::kInvalidArgument,
        path().string(),
        ": relation '",
        relation.name,
        "' has facts that were recorded as ",
        old.functional ? "functional" : "many-valued",
        "; this cannot change any more, use another name");
    state.require_change();
    state.database
        .query("UPDATE relations SET functional = ?2, inverse = ?3, step = ?4 WHERE id = ?1")
        .bind(id, relation.functional, relation.inverse, relation.step)
        .run();
    write_wordings(state.database, id, relation);
    return Outcome::kSuperseded;
  });
}

std::vector<Relation> EditStore::relations() const {
  const Snapshot snapshot(state_->database);
  std::vector<Relation> relations;
  Query row = state_->database.query(
      "SELECT id, name, functional, inverse, step FROM relations ORDER BY name");
  while (row.step()) {
    relations.push_back(read_relation(state_->database, row));
  }
  return relations;
}

Relation EditStore::relation(std::string_view name) const {
  const Snapshot snapshot(state_->database);
  state_->require_relation(name);
  Query row = state_->database.query(
      "SELECT id, name, functional, inverse, step FROM relations WHERE name = ?1");
  row.bind(name).step();
  return read_relation(state_->database, row);
}

Outcome EditStore::put_entity(const Entity& entity) {
  require_name(entity.name, "the name of an entity");
  require_text(entity.kind, "the kind of an entity");
  require_names(entity.aliases, concat("an alias of '", entity.name.substr(0, 80), "'"));
  State& state = *state_;
  return state.write("entity", brief({entity.name}), [&] {
    Outcome outcome = Outcome::kUnchanged;
    const auto touch = [&](Outcome what) {
      state.require_change();
      outcome = outcome == Outcome::kAdded ? outcome : what;
    };
    if (!state.entity_id(entity.name)) {
      touch(Outcome::kAdded);
    }
    const std::int64_t id = state.require_entity(entity.name);
    if (!entity.kind.empty()) {
      Query update =
          state.database.query("UPDATE entities SET kind = ?2 WHERE id = ?1 AND kind <> ?2");
      update.bind(id, entity.kind).run();
      if (state.database.changed() > 0) {
        touch(Outcome::kSuperseded);
      }
    }
    for (const std::string& alias : entity.aliases) {
      Query insert = state.database.query(
          "INSERT INTO entity_aliases SELECT ?1, (SELECT count(*) FROM entity_aliases WHERE entity "
          "="
          " ?1), ?2 WHERE NOT EXISTS (SELECT 1 FROM entity_aliases WHERE entity = ?1 AND alias = "
          "?2)");
      insert.bind(id, alias).run();
      if (state.database.changed() > 0) {
        touch(Outcome::kSuperseded);
      }
    }
    return outcome;
  });
}

std::vector<Entity> EditStore::entities() const {
  const Snapshot snapshot(state_->database);
  std::vector<Entity> entities;
  Query row = state_->database.query(
      "SELECT e.name, e.kind, a.alias FROM entities e LEFT JOIN entity_aliases a ON a.entity = "
      "e.id "
      "WHERE e.kind <> '' OR a.alias IS NOT NULL ORDER BY e.name, a.position");
  while (row.step()) {
    if (entities.empty() || entities.back().name != row.text(0)) {
      entities.push_back({row.text(0), row.text(1), {}});
    }
    if (const auto alias = row.maybe_text(2)) {
      entities.back().aliases.push_back(*alias);
    }
  }
  return entities;
}

} // namespace errata::editing
