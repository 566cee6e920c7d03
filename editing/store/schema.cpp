#include "editing/store/schema.h"

#include "core/base/error.h"
#include "editing/store/database.h"

#include <array>
#include <string_view>

namespace errata::editing {
namespace {

// Version n is what the first n scripts make. A script that has been released never changes.
constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE changes (
  id INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  action TEXT NOT NULL,
  note TEXT NOT NULL
) STRICT;

CREATE TABLE relations (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  functional INTEGER NOT NULL CHECK (functional IN (0, 1)),
  inverse TEXT NOT NULL,
  step TEXT NOT NULL
) STRICT;
CREATE TABLE wordings (
  relation INTEGER NOT NULL REFERENCES relations (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('statement', 'question', 'noun', 'inverse_noun',
                                     'dated_statement', 'dated_question')),
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (relation, kind, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE entities (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  kind TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE entity_aliases (
  entity INTEGER NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  alias TEXT NOT NULL CHECK (alias <> ''),
  PRIMARY KEY (entity, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX entity_aliases_by_alias ON entity_aliases (alias);

-- valid_from and valid_to are the dates as given, from_day and to_day their first days counted from
-- 1970-01-01: the fact holds on days with from_day <= day < to_day, a missing bound is open.
-- end_stated is 0 where valid_to follows from the next value of the slot.
CREATE TABLE facts (
  id INTEGER PRIMARY KEY,
  subject INTEGER NOT NULL REFERENCES entities (id),
  relation INTEGER NOT NULL REFERENCES relations (id),
  object INTEGER NOT NULL REFERENCES entities (id),
  valid_from TEXT,
  valid_to TEXT,
  from_day INTEGER,
  to_day INTEGER,
  end_stated INTEGER NOT NULL CHECK (end_stated IN (0, 1)),
  provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
  source TEXT NOT NULL,
  note TEXT NOT NULL,
  recorded INTEGER NOT NULL REFERENCES changes (id),
  superseded INTEGER REFERENCES changes (id),
  superseded_by INTEGER REFERENCES facts (id),
  CHECK ((valid_from IS NULL) = (from_day IS NULL)),
  CHECK ((valid_to IS NULL) = (to_day IS NULL)),
  CHECK (from_day IS NULL OR to_day IS NULL OR from_day < to_day),
  CHECK (superseded IS NULL OR superseded >= recorded),
  CHECK (superseded_by IS NULL OR superseded IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX facts_current
  ON facts (subject, relation, object, coalesce(from_day, -10000000)) WHERE superseded IS NULL;
CREATE INDEX facts_by_slot ON facts (subject, relation, from_day);
CREATE INDEX facts_by_object ON facts (object);
CREATE INDEX facts_by_relation ON facts (relation);
CREATE INDEX facts_by_start ON facts (from_day) WHERE from_day IS NOT NULL;
CREATE INDEX facts_by_end ON facts (to_day) WHERE to_day IS NOT NULL;
CREATE INDEX facts_by_recording ON facts (recorded);
CREATE INDEX facts_by_supersession ON facts (superseded) WHERE superseded IS NOT NULL;
CREATE TABLE fact_aliases (
  fact INTEGER NOT NULL REFERENCES facts (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  alias TEXT NOT NULL CHECK (alias <> ''),
  PRIMARY KEY (fact, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_aliases_by_alias ON fact_aliases (alias);

CREATE TABLE sets (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> '')
) STRICT;

CREATE TABLE cases (
  id INTEGER PRIMARY KEY,
  set_id INTEGER NOT NULL REFERENCES sets (id),
  key TEXT NOT NULL CHECK (key <> ''),
  start TEXT NOT NULL,
  changed INTEGER NOT NULL CHECK (changed IN (0, 1)),
  edited_hop TEXT NOT NULL CHECK (edited_hop IN ('', 'first', 'middle', 'last')),
  answer TEXT NOT NULL,
  new_answer TEXT NOT NULL,
  recorded INTEGER NOT NULL REFERENCES changes (id),
  superseded INTEGER REFERENCES changes (id)
) STRICT;
CREATE UNIQUE INDEX cases_current ON cases (set_id, key) WHERE superseded IS NULL;
CREATE TABLE case_hops (
  case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
  day INTEGER NOT NULL CHECK (day IN (0, 1)),
  position INTEGER NOT NULL,
  subject TEXT NOT NULL,
  relation TEXT NOT NULL,
  object TEXT NOT NULL,
  PRIMARY KEY (case_id, day, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE case_texts (
  case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('question', 'answer_alias', 'new_answer_alias', 'edit')),
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (case_id, kind, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE edits (
  id INTEGER PRIMARY KEY,
  set_id INTEGER NOT NULL REFERENCES sets (id),
  key TEXT NOT NULL CHECK (key <> ''),
  prompt TEXT NOT NULL CHECK (prompt <> ''),
  target_new TEXT NOT NULL CHECK (target_new <> ''),
  subject TEXT NOT NULL,
  relation TEXT NOT NULL,
  target_true TEXT NOT NULL,
  effective TEXT,
  recorded INTEGER NOT NULL REFERENCES changes (id),
  superseded INTEGER REFERENCES changes (id)
) STRICT;
CREATE UNIQUE INDEX edits_current ON edits (set_id, key) WHERE superseded IS NULL;
CREATE TABLE probes (
  id INTEGER PRIMARY KEY,
  edit INTEGER NOT NULL REFERENCES edits (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('paraphrase', 'locality')),
  position INTEGER NOT NULL,
  prompt TEXT NOT NULL CHECK (prompt <> ''),
  UNIQUE (edit, kind, position)
) STRICT;
CREATE TABLE probe_answers (
  probe INTEGER NOT NULL REFERENCES probes (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (probe, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  at TEXT NOT NULL,
  method TEXT NOT NULL,
  output TEXT NOT NULL,
  model_sha256 TEXT NOT NULL,
  store_sha256 TEXT NOT NULL,
  adapter_sha256 TEXT NOT NULL,
  seed TEXT NOT NULL,
  valid_from TEXT,
  valid_to TEXT,
  config TEXT NOT NULL,
  metrics TEXT NOT NULL
) STRICT;
CREATE TABLE run_edits (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('modification', 'injection', 'removal')),
  subject TEXT NOT NULL,
  relation TEXT NOT NULL,
  old_object TEXT,
  new_object TEXT,
  effective TEXT,
  source TEXT NOT NULL,
  provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_edits_by_slot ON run_edits (subject, relation);
)sql";

// A slot is found through one index instead of two, current facts and former ones apart; record
// times and the edits of runs are found without reading all of them.
//
// Edits given outright get other names of their target, and probes of two more kinds with the
// criterion under which the data set lists them. SQLite cannot change a CHECK, so the two tables
// are made anew; dropping the old answers first keeps the cascade from reaching the new ones.
constexpr std::string_view kVersion2 = R"sql(
DROP INDEX facts_current;
DROP INDEX facts_by_slot;
CREATE UNIQUE INDEX facts_current
  ON facts (subject, relation, coalesce(from_day, -10000000), object) WHERE superseded IS NULL;
CREATE INDEX facts_former ON facts (subject, relation) WHERE superseded IS NOT NULL;
CREATE INDEX changes_by_time ON changes (at);
CREATE INDEX run_edits_by_key ON run_edits (key);

CREATE TABLE edit_aliases (
  edit INTEGER NOT NULL REFERENCES edits (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  alias TEXT NOT NULL CHECK (alias <> ''),
  PRIMARY KEY (edit, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX edits_by_slot ON edits (set_id, subject, relation) WHERE superseded IS NULL;

CREATE TABLE probes_2 (
  id INTEGER PRIMARY KEY,
  edit INTEGER NOT NULL REFERENCES edits (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('paraphrase', 'locality', 'portability', 'generation')),
  position INTEGER NOT NULL,
  prompt TEXT NOT NULL CHECK (prompt <> ''),
  criterion TEXT NOT NULL,
  UNIQUE (edit, kind, position)
) STRICT;
INSERT INTO probes_2 SELECT id, edit, kind, position, prompt, '' FROM probes;
CREATE TABLE probe_answers_2 (
  probe INTEGER NOT NULL REFERENCES probes_2 (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (probe, position)
) STRICT, WITHOUT ROWID;
INSERT INTO probe_answers_2 SELECT probe, position, text FROM probe_answers;
DROP TABLE probe_answers;
DROP TABLE probes;
ALTER TABLE probes_2 RENAME TO probes;
ALTER TABLE probe_answers_2 RENAME TO probe_answers;
)sql";

constexpr std::array<std::string_view, kSchemaVersion> kScripts = {kVersion1, kVersion2};

// The caller holds a write transaction.
void run_scripts(Database& database, std::int64_t version, std::int64_t target) {
  for (; version < target; ++version) {
    database.execute(kScripts[static_cast<std::size_t>(version)]);
  }
  database.execute(concat("PRAGMA user_version = ", target));
}

} // namespace

void initialise_schema(Database& database, std::int64_t version) {
  database.execute("PRAGMA journal_mode = WAL");
  database.execute("BEGIN IMMEDIATE");
  database.execute(concat("PRAGMA application_id = ", kApplicationId));
  run_scripts(database, 0, version);
  database.execute("COMMIT");
}

void require_schema(Database& database) {
  const std::string name = database.path().string();
  ERRATA_CHECK(
      database.integer("PRAGMA application_id") == kApplicationId,
      ErrorCode::kCorrupt,
      name,
      ": is an SQLite file but not an edit store; make one with 'errata store init'");
  const std::int64_t version = database.integer("PRAGMA user_version");
  ERRATA_CHECK(
      version <= kSchemaVersion,
      ErrorCode::kUnsupported,
      name,
      ": is a store of schema version ",
      version,
      ", this program knows versions up to ",
      kSchemaVersion,
      "; use a newer errata");
  ERRATA_CHECK(
      version >= 1, ErrorCode::kCorrupt, name, ": store without a schema version; restore a copy");
  if (version == kSchemaVersion) {
    return;
  }
  database.execute("BEGIN IMMEDIATE");
  // Should the upgrade fail, closing the file undoes it.
  // Another process may have been first while this one waited for the lock.
  run_scripts(database, database.integer("PRAGMA user_version"), kSchemaVersion);
  database.execute("COMMIT");
}

} // namespace errata::editing
