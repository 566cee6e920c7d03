#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "editing/store/dump_format.h"
#include "editing/store/record_json.h"
#include "editing/store/schema.h"
#include "editing/store/store_state.h"

#include <algorithm>

namespace errata::editing {
namespace {

OrderedJson row_json(std::string_view table, const Query& row) {
  OrderedJson object = {{"table", table}};
  for (int column = 0; column < row.columns(); ++column) {
    if (row.is_null(column)) {
      continue; // most bounds are open: leaving them out makes a dump much shorter
    }
    object[row.column_name(column)] =
        row.is_integer(column) ? OrderedJson(row.integer(column)) : OrderedJson(row.text(column));
  }
  return object;
}

// A text that is not UTF-8 cannot have come through this program.
std::string line_of(const OrderedJson& value, const Database& database) {
  try {
    return value.dump() + '\n';
  } catch (const OrderedJson::type_error&) {
    ERRATA_FAIL(
        ErrorCode::kCorrupt,
        database.path().string(),
        ": a text is not UTF-8; 'errata store verify' says where, restore the store from a dump");
  }
}

/// Hashes a canonical text of the records: one JSON line each.
class RecordHash {
 public:
  explicit RecordHash(const Database& database) : database_(database) {}

  template <typename Record>
  void add(const char* kind, const Record& record) {
    hash_.update(kind).update(line_of(to_json(record), database_));
  }
  std::string hex_digest() { return hash_.hex_digest(); }

 private:
  const Database& database_;
  Sha256 hash_;
};

template <typename Record>
std::vector<Record> by_id(std::vector<Record> records) {
  std::sort(
      records.begin(), records.end(), [](const Record& a, const Record& b) { return a.id < b.id; });
  return records;
}

} // namespace

void EditStore::dump(const std::filesystem::path& path) const {
  State& state = *state_;
  ERRATA_CHECK(
      !state.writing, ErrorCode::kInternal, "a store cannot be dumped in the middle of a change");
  const Snapshot snapshot(state.database);
  AtomicFile file(path);
  Sha256 hash;
  std::int64_t rows = 0;
  const auto write_line = [&](const OrderedJson& value) {
    const std::string line = line_of(value, state.database);
    hash.update(line);
    file.write(line);
  };
  write_line({{kDumpMagic, kDumpVersion}, {"schema", kSchemaVersion}});
  for (const DumpTable& table : kDumpTables) {
    Query row =
        state.database.query(concat("SELECT * FROM ", table.name, " ORDER BY ", table.order));
    while (row.step()) {
      write_line(row_json(table.name, row));
      ++rows;
    }
  }
  file.write(OrderedJson{{"end", rows}, {"sha256", hash.hex_digest()}}.dump() + '\n');
  file.commit();
}

std::string EditStore::content_hash() const {
  State& state = *state_;
  // One state for all that is read below.
  const Snapshot snapshot(state.database);
  RecordHash hash(state.database);
  for (const datasets::Relation& relation : relations()) {
    hash.add("relation", relation);
  }
  for (datasets::Entity& entity : entities()) {
    std::sort(entity.aliases.begin(), entity.aliases.end());
    hash.add("entity", entity);
  }
  for_each({}, [&](StoredFact& stored) {
    std::sort(stored.fact.aliases.begin(), stored.fact.aliases.end());
    hash.add("fact", stored.fact);
  });
  for (const SetInfo& set : sets()) {
    for (const datasets::MultiHopCase& item : by_id(multi_hop(set.name))) {
      hash.add(("case " + set.name).c_str(), item);
    }
    for (const datasets::ExplicitEdit& edit : by_id(explicit_edits(set.name))) {
      hash.add(("edit " + set.name).c_str(), edit);
    }
  }
  return hash.hex_digest();
}

} // namespace errata::editing
