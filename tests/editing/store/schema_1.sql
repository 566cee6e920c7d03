-- A store of schema 1 as errata at 883d3c2 wrote it: import of facts, edits and a case, additions, a
-- correction, a retraction; the run was put in by hand. Made with 'sqlite3 FILE .dump', which leaves
-- out application_id and user_version. Never changes.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE changes (
  id INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  action TEXT NOT NULL,
  note TEXT NOT NULL
) STRICT;
INSERT INTO changes VALUES(1,'2026-11-26T07:02:53Z','import','facts.jsonl');
INSERT INTO changes VALUES(2,'2026-11-26T07:02:53Z','import','edits.jsonl');
INSERT INTO changes VALUES(3,'2026-11-26T07:02:54Z','import','mh.jsonl');
INSERT INTO changes VALUES(4,'2026-11-26T07:02:55Z','add','Burma, capital, Rangoon');
INSERT INTO changes VALUES(5,'2026-11-26T07:02:55Z','add','Burma, capital, Nay Pyi Taw');
INSERT INTO changes VALUES(6,'2026-11-26T07:02:56Z','add','Italy, capital, Milan');
INSERT INTO changes VALUES(7,'2026-11-26T07:02:57Z','retract','typing mistake');
INSERT INTO changes VALUES(8,'2026-11-26T07:02:58Z','add','Italy, capital, Rome');
INSERT INTO changes VALUES(9,'2026-11-26T07:05:00Z','run','run-1');
CREATE TABLE relations (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  functional INTEGER NOT NULL CHECK (functional IN (0, 1)),
  inverse TEXT NOT NULL,
  step TEXT NOT NULL
) STRICT;
INSERT INTO relations VALUES(1,'borders',0,'borders','');
INSERT INTO relations VALUES(2,'capital',1,'','The capital of {s} is {o}.');
CREATE TABLE wordings (
  relation INTEGER NOT NULL REFERENCES relations (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('statement', 'question', 'noun', 'inverse_noun',
                                     'dated_statement', 'dated_question')),
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (relation, kind, position)
) STRICT, WITHOUT ROWID;
INSERT INTO wordings VALUES(1,'question',0,'Which country borders {s}?');
INSERT INTO wordings VALUES(2,'inverse_noun',0,'the country whose capital is {o}');
INSERT INTO wordings VALUES(2,'noun',0,'the capital of {s}');
INSERT INTO wordings VALUES(2,'question',0,'What is the capital of {s}?');
INSERT INTO wordings VALUES(2,'question',1,'Name the capital of {s}.');
INSERT INTO wordings VALUES(2,'statement',0,'The capital of {s} is {o}.');
CREATE TABLE entities (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  kind TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO entities VALUES(1,'Kazakhstan','');
INSERT INTO entities VALUES(2,'Nur-Sultan','');
INSERT INTO entities VALUES(3,'Astana','');
INSERT INTO entities VALUES(4,'China','');
INSERT INTO entities VALUES(5,'Burma','');
INSERT INTO entities VALUES(6,'Rangoon','');
INSERT INTO entities VALUES(7,'Nay Pyi Taw','');
INSERT INTO entities VALUES(8,'Italy','');
INSERT INTO entities VALUES(9,'Milan','');
INSERT INTO entities VALUES(10,'Rome','');
CREATE TABLE entity_aliases (
  entity INTEGER NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  alias TEXT NOT NULL CHECK (alias <> ''),
  PRIMARY KEY (entity, position)
) STRICT, WITHOUT ROWID;
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
INSERT INTO facts VALUES(1,1,2,2,'2019-03-23','2022-09-17',17978,19252,0,0,'gazette','',1,NULL,NULL);
INSERT INTO facts VALUES(2,1,2,3,'2022-09-17',NULL,19252,NULL,0,0,'','',1,NULL,NULL);
INSERT INTO facts VALUES(3,1,1,4,NULL,NULL,NULL,NULL,0,0,'','',1,NULL,NULL);
INSERT INTO facts VALUES(4,5,2,6,NULL,'2005-11-06',NULL,13093,1,0,'','',4,NULL,NULL);
INSERT INTO facts VALUES(5,5,2,7,'2005-11-06',NULL,13093,NULL,0,0,'','',5,NULL,NULL);
INSERT INTO facts VALUES(6,8,2,9,NULL,NULL,NULL,NULL,0,0,'','',6,7,NULL);
INSERT INTO facts VALUES(7,8,2,10,NULL,NULL,NULL,NULL,0,0,'','',8,NULL,NULL);
CREATE TABLE fact_aliases (
  fact INTEGER NOT NULL REFERENCES facts (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  alias TEXT NOT NULL CHECK (alias <> ''),
  PRIMARY KEY (fact, position)
) STRICT, WITHOUT ROWID;
INSERT INTO fact_aliases VALUES(2,0,'Akmola');
INSERT INTO fact_aliases VALUES(7,0,'Roma');
CREATE TABLE sets (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE CHECK (name <> '')
) STRICT;
INSERT INTO sets VALUES(1,'march');
INSERT INTO sets VALUES(2,'own');
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
INSERT INTO cases VALUES(1,2,'m1','China',1,'','Nur-Sultan','Astana',3,NULL);
CREATE TABLE case_hops (
  case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
  day INTEGER NOT NULL CHECK (day IN (0, 1)),
  position INTEGER NOT NULL,
  subject TEXT NOT NULL,
  relation TEXT NOT NULL,
  object TEXT NOT NULL,
  PRIMARY KEY (case_id, day, position)
) STRICT, WITHOUT ROWID;
INSERT INTO case_hops VALUES(1,0,0,'China','borders^-1','Kazakhstan');
INSERT INTO case_hops VALUES(1,0,1,'Kazakhstan','capital','Nur-Sultan');
INSERT INTO case_hops VALUES(1,1,0,'China','borders^-1','Kazakhstan');
INSERT INTO case_hops VALUES(1,1,1,'Kazakhstan','capital','Astana');
CREATE TABLE case_texts (
  case_id INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('question', 'answer_alias', 'new_answer_alias', 'edit')),
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (case_id, kind, position)
) STRICT, WITHOUT ROWID;
INSERT INTO case_texts VALUES(1,'edit',0,'e');
INSERT INTO case_texts VALUES(1,'question',0,'Which capital does the neighbour have?');
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
INSERT INTO edits VALUES(1,1,'x1','The capital of Kazakhstan is','Astana','','','','2022-09',2,NULL);
CREATE TABLE probes (
  id INTEGER PRIMARY KEY,
  edit INTEGER NOT NULL REFERENCES edits (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('paraphrase', 'locality')),
  position INTEGER NOT NULL,
  prompt TEXT NOT NULL CHECK (prompt <> ''),
  UNIQUE (edit, kind, position)
) STRICT;
INSERT INTO probes VALUES(1,1,'paraphrase',0,'Kazakhstan''s capital:');
INSERT INTO probes VALUES(2,1,'locality',0,'The capital of Italy is');
CREATE TABLE probe_answers (
  probe INTEGER NOT NULL REFERENCES probes (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (probe, position)
) STRICT, WITHOUT ROWID;
INSERT INTO probe_answers VALUES(2,0,'Rome');
INSERT INTO probe_answers VALUES(2,1,'Roma');
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
INSERT INTO runs VALUES(1,'run-1','2026-11-26T07:05:00Z','lora','out/run-1','aa','bb','cc','18446744073709551615','2021-01-31','2026-01-22','{"rank":8}','{}');
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
INSERT INTO run_edits VALUES(1,0,'e-0123456789abcdef','modification','Kazakhstan','capital','Nur-Sultan','Astana','2022-09-17','',0);
CREATE INDEX entity_aliases_by_alias ON entity_aliases (alias);
CREATE UNIQUE INDEX facts_current
  ON facts (subject, relation, object, coalesce(from_day, -10000000)) WHERE superseded IS NULL;
CREATE INDEX facts_by_slot ON facts (subject, relation, from_day);
CREATE INDEX facts_by_object ON facts (object);
CREATE INDEX facts_by_relation ON facts (relation);
CREATE INDEX facts_by_start ON facts (from_day) WHERE from_day IS NOT NULL;
CREATE INDEX facts_by_end ON facts (to_day) WHERE to_day IS NOT NULL;
CREATE INDEX facts_by_recording ON facts (recorded);
CREATE INDEX facts_by_supersession ON facts (superseded) WHERE superseded IS NOT NULL;
CREATE INDEX fact_aliases_by_alias ON fact_aliases (alias);
CREATE UNIQUE INDEX cases_current ON cases (set_id, key) WHERE superseded IS NULL;
CREATE UNIQUE INDEX edits_current ON edits (set_id, key) WHERE superseded IS NULL;
CREATE INDEX run_edits_by_slot ON run_edits (subject, relation);
COMMIT;
