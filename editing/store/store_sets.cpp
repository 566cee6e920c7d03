#include "core/base/error.h"
#include "editing/store/set_records.h"
#include "editing/store/store_state.h"
#include "editing/store/text_check.h"

namespace errata::editing {
namespace {

using datasets::ExplicitEdit;
using datasets::MultiHopCase;

/// What differs between the two kinds of records that a set holds.
template <typename Record>
struct Kind {
  const char* columns;
  const char* supersede;
  Record (*read)(Database&, const Query&);
  void (*write)(Database&, std::int64_t set, std::int64_t change, const Record&);
};

constexpr Kind<MultiHopCase> kCases = {
    kCaseColumns, "UPDATE cases SET superseded = ?2 WHERE id = ?1", read_case, write_case};
constexpr Kind<ExplicitEdit> kEdits = {
    kEditColumns, "UPDATE edits SET superseded = ?2 WHERE id = ?1", read_edit, write_edit};

template <typename Record>
std::vector<Record> read_set(Database& database, const Kind<Record>& kind, std::string_view set) {
  std::vector<Record> records;
  Query row = database.query(concat(kind.columns, "AND (?1 = '' OR s.name = ?1) ORDER BY c.id"));
  row.bind(set);
  while (row.step()) {
    records.push_back(kind.read(database, row));
  }
  return records;
}

} // namespace

std::int64_t EditStore::State::require_set(std::string_view name) {
  Query found = database.query("SELECT id FROM sets WHERE name = ?1");
  found.bind(name);
  if (found.step()) {
    return found.integer(0);
  }
  require_change();
  database.query("INSERT INTO sets (name) VALUES (?1)").bind(name).run();
  return database.last_id();
}

template <typename Record, typename KindOfRecord>
SetChange EditStore::State::put_set(
    const KindOfRecord& kind, std::string_view set, std::span<const Record> records) {
  require_name(set, "the name of a set");
  for (const Record& record : records) {
    check(record);
  }
  return write("set", brief({set}), [&] {
    const std::int64_t set_id = require_set(set);
    SetChange counts;
    for (const Record& record : records) {
      Query row = database.query(concat(kind.columns, "AND c.set_id = ?1 AND c.key = ?2"));
      row.bind(set_id, record.id);
      const bool known = row.step();
      if (known && kind.read(database, row) == record) {
        continue;
      }
      const std::int64_t number = require_change();
      if (known) {
        database.query(kind.supersede).bind(row.integer(0), number).run();
      }
      kind.write(database, set_id, number, record);
      ++(known ? counts.superseded : counts.added);
    }
    return counts;
  });
}

SetChange EditStore::put_multi_hop(std::string_view set, std::span<const MultiHopCase> cases) {
  return state_->put_set(kCases, set, cases);
}

std::vector<MultiHopCase> EditStore::multi_hop(std::string_view set) const {
  const Snapshot snapshot(state_->database);
  return read_set(state_->database, kCases, set);
}

SetChange EditStore::put_edits(std::string_view set, std::span<const ExplicitEdit> edits) {
  return state_->put_set(kEdits, set, edits);
}

std::vector<ExplicitEdit> EditStore::explicit_edits(std::string_view set) const {
  const Snapshot snapshot(state_->database);
  return read_set(state_->database, kEdits, set);
}

std::optional<ExplicitEdit> EditStore::explicit_edit(
    std::string_view set, std::string_view id) const {
  const Snapshot snapshot(state_->database);
  Query row = state_->database.query(concat(kEdits.columns, "AND s.name = ?1 AND c.key = ?2"));
  row.bind(set, id);
  return row.step() ? std::optional(kEdits.read(state_->database, row)) : std::nullopt;
}

std::vector<SetInfo> EditStore::sets() const {
  const Snapshot snapshot(state_->database);
  std::vector<SetInfo> sets;
  Query row = state_->database.query(
      "SELECT s.name,"
      " (SELECT count(*) FROM cases c WHERE c.set_id = s.id AND c.superseded IS NULL),"
      " (SELECT count(*) FROM edits e WHERE e.set_id = s.id AND e.superseded IS NULL)"
      " FROM sets s ORDER BY s.name");
  while (row.step()) {
    sets.push_back({row.text(0), row.integer(1), row.integer(2)});
  }
  return sets;
}

} // namespace errata::editing
