#include "datasets/factbook.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "datasets/factbook_intervals.h"
#include "datasets/field_reader.h"
#include "datasets/readers.h"

#include <algorithm>
#include <map>
#include <system_error>

namespace errata::datasets {
namespace {

Date day_field(const JsonFields& fields, std::string_view name) {
  const auto date = date_field(fields, name);
  ERRATA_CHECK(
      date && date->complete(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' must be a day YYYY-MM-DD");
  return *date;
}

FactbookRow read_row(const JsonFields& fields) {
  fields.reject_unknown(
      {"subject",
       "relation",
       "object",
       "valid_from",
       "valid_to",
       "observed_from",
       "observed_to",
       "source",
       "acting",
       "aliases",
       "office_title",
       "multi",
       "stale_snapshot"});
  FactbookRow row;
  row.fact.subject = text_field(fields, "subject");
  row.fact.relation = text_field(fields, "relation");
  row.fact.object = text_field(fields, "object");
  row.fact.valid_from = date_field(fields, "valid_from");
  row.fact.valid_to = date_field(fields, "valid_to");
  row.fact.aliases = list_field(fields, "aliases");
  row.fact.source = text_field(fields, "source");
  row.fact.provisional = fields.optional<bool>("acting", false);
  if (fields.optional<bool>("stale_snapshot", false)) {
    row.fact.note = "seen only in the 2014 snapshots, whose text is of about September 2013";
  }
  row.observed_from = day_field(fields, "observed_from");
  row.observed_to = day_field(fields, "observed_to");
  row.multi = fields.optional<bool>("multi", false);
  return row;
}

std::vector<Entity> read_entities(const std::filesystem::path& path) {
  const Json document = read_json(path);
  const JsonFields all(document, path.string());
  std::vector<Entity> entities;
  for (const auto& [name, value] : document.items()) {
    const JsonFields fields(value, concat(path.string(), ": entity '", name, "'"));
    fields.reject_unknown({"aliases", "gec", "region", "type"});
    entities.push_back({name, text_field(fields, "type"), list_field(fields, "aliases")});
  }
  return entities;
}

Edit read_change(const JsonFields& fields) {
  fields.reject_unknown(
      {"id",
       "subject",
       "relation",
       "old",
       "new",
       "effective",
       "effective_source",
       "observed",
       "aliases_new",
       "aliases_old",
       "source",
       "acting"});
  Edit edit;
  edit.id = text_field(fields, "id");
  edit.subject = text_field(fields, "subject");
  edit.relation = text_field(fields, "relation");
  edit.old_object = text_field(fields, "old");
  edit.new_object = text_field(fields, "new");
  edit.old_aliases = list_field(fields, "aliases_old");
  edit.new_aliases = list_field(fields, "aliases_new");
  edit.effective = date_field(fields, "effective");
  edit.source = text_field(fields, "source");
  edit.provisional = fields.optional<bool>("acting", false);
  return edit;
}

// Where a relation's objects are mostly the table's own subjects (borders), an object's aliases are
// those of the subject. A capital that shares its country's name must not get them.
void add_entity_aliases(const std::vector<Entity>& entities, std::vector<Fact>& facts) {
  std::map<std::string_view, const Entity*> by_name;
  for (const Entity& entity : entities) {
    by_name[entity.name] = &entity;
  }
  std::map<std::string, std::pair<long, long>> known; // relation: objects known, objects
  for (const Fact& fact : facts) {
    auto& [hits, total] = known[fact.relation];
    hits += by_name.contains(fact.object) ? 1 : 0;
    ++total;
  }
  for (Fact& fact : facts) {
    const auto& [hits, total] = known[fact.relation];
    const auto entity = by_name.find(fact.object);
    if (2 * hits <= total || entity == by_name.end()) {
      continue;
    }
    for (const std::string& alias : entity->second->aliases) {
      if (std::find(fact.aliases.begin(), fact.aliases.end(), alias) == fact.aliases.end()) {
        fact.aliases.push_back(alias);
      }
    }
  }
}

} // namespace

Factbook read_factbook(const std::filesystem::path& directory) {
  require_directory(directory, "Factbook directory");
  Factbook book;
  book.relations = read_relations(directory / "relations.json");
  book.entities = read_entities(directory / "entities.json");
  std::vector<FactbookRow> rows;
  read_field_lines(directory / "facts.jsonl", [&](const JsonFields& fields, std::int64_t) {
    rows.push_back(read_row(fields));
  });
  book.facts = factbook_intervals(std::move(rows));
  add_entity_aliases(book.entities, book.facts);
  book.multi_hop = read_multi_hop(directory / "multihop.jsonl");
  read_field_lines(directory / "edits.jsonl", [&](const JsonFields& fields, std::int64_t) {
    book.changes.push_back(read_change(fields));
  });
  return book;
}

std::filesystem::path factbook_directory() {
  std::error_code failed;
  std::vector<std::filesystem::path> places = {ERRATA_FACTBOOK_SOURCE};
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (!failed) {
    places.push_back(program.parent_path().parent_path() / "share/errata/factbook");
  }
  places.emplace_back(ERRATA_FACTBOOK_INSTALLED);
  for (const auto& place : places) {
    if (std::filesystem::is_regular_file(place / "facts.jsonl", failed)) {
      return place;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kNotFound,
      "the bundled Factbook data are neither in ",
      places.front().string(),
      " nor in ",
      places.back().string(),
      "; give their directory");
}

} // namespace errata::datasets
