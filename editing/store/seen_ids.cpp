#include "editing/store/seen_ids.h"

namespace errata::editing {

// SQLite's name for a database in a temporary file is the empty one.
SeenIds::SeenIds() : database_("", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 0) {
  database_.execute(
      "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
      "CREATE TABLE seen (kind TEXT, id TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID; BEGIN");
}

void SeenIds::insert(std::string_view kind, std::string_view id) {
  database_.query("INSERT OR IGNORE INTO seen VALUES (?1, ?2)").bind(kind, id).run();
}

bool SeenIds::contains(std::string_view kind, std::string_view id) {
  Query row = database_.query("SELECT 1 FROM seen WHERE kind = ?1 AND id = ?2");
  row.bind(kind, id);
  return row.step();
}

} // namespace errata::editing
