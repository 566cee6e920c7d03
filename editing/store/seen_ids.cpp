#include "editing/store/seen_ids.h"

namespace errata::editing {

// SQLite's name for a database in a temporary file is the empty one.
SeenIds::SeenIds() : database_("", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 0) {
  database_.execute(
      "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
      "CREATE TABLE seen (kind TEXT, id TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID; BEGIN");
}

bool SeenIds::insert(std::string_view kind, std::string_view id) {
  database_.query("INSERT OR IGNORE INTO seen VALUES (?1, ?2)").bind(kind, id).run();
  return database_.changed() > 0;
}

} // namespace errata::editing
