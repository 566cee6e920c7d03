#include "core/base/error.h"
#include "editing/store/store_state.h"
#include "editing/store/text_check.h"

#include <algorithm>
#include <array>

namespace errata::editing {
namespace {

using datasets::ExplicitEdit;
using datasets::Hop;
using datasets::MultiHopCase;
using datasets::Probe;

struct TextKind {
  const char* name;
  std::vector<std::string> MultiHopCase::*list;
};

constexpr std::array<TextKind, 4> kTexts = {{
    {"question", &MultiHopCase::questions},
    {"answer_alias", &MultiHopCase::answer_aliases},
    {"new_answer_alias", &MultiHopCase::new_answer_aliases},
    {"edit", &MultiHopCase::edit_ids},
}};

/// Probes without answers, and with them.
struct PromptKind {
  const char* name;
  std::vector<std::string> ExplicitEdit::*list;
};
constexpr std::array<PromptKind, 2> kPrompts = {{
    {"paraphrase", &ExplicitEdit::paraphrases},
    {"generation", &ExplicitEdit::generation},
}};
struct ProbeKind {
  const char* name;
  std::vector<Probe> ExplicitEdit::*list;
};
constexpr std::array<ProbeKind, 2> kProbes = {{
    {"locality", &ExplicitEdit::locality},
    {"portability", &ExplicitEdit::portability},
}};

bool same(const MultiHopCase& a, const MultiHopCase& b) {
  return a.start == b.start && a.chain == b.chain && a.chain_new == b.chain_new &&
         a.changed == b.changed && a.edited_hop == b.edited_hop && a.questions == b.questions &&
         a.answer == b.answer && a.answer_aliases == b.answer_aliases &&
         a.new_answer == b.new_answer && a.new_answer_aliases == b.new_answer_aliases &&
         a.edit_ids == b.edit_ids;
}

bool same(const ExplicitEdit& a, const ExplicitEdit& b) {
  return a == b;
}

void check(const MultiHopCase& item) {
  require_name(item.id, "the id of a multi-hop case");
  const std::string what = "a text of multi-hop case '" + brief({item.id}) + "'";
  require_text(item.start, what);
  require_text(item.edited_hop, what);
  require_text(item.answer, what);
  require_text(item.new_answer, what);
  for (const TextKind& kind : kTexts) {
    require_names(item.*kind.list, what);
  }
  for (const auto* chain : {&item.chain, &item.chain_new}) {
    for (const Hop& hop : *chain) {
      require_names({hop.subject, hop.relation, hop.object}, what);
    }
    const auto broken =
        std::adjacent_find(chain->begin(), chain->end(), [](const Hop& hop, const Hop& next) {
          return hop.object != next.subject;
        });
    ERRATA_CHECK(
        broken == chain->end(),
        ErrorCode::kInvalidArgument,
        "multi-hop case '",
        brief({item.id}),
        "': the chain breaks after ",
        broken == chain->end() ? "" : brief({broken->subject, broken->relation, broken->object}),
        "; expected each hop to start where the one before ends");
  }
  ERRATA_CHECK(
      !item.questions.empty(),
      ErrorCode::kInvalidArgument,
      "multi-hop case '",
      brief({item.id}),
      "' has no question");
}

void check(const ExplicitEdit& edit) {
  require_name(edit.id, "the id of an edit");
  const std::string what = "of edit '" + brief({edit.id}) + "'";
  require_name(edit.prompt, "the prompt " + what);
  require_name(edit.target_new, "target_new " + what);
  require_text(edit.subject, "the subject " + what);
  require_text(edit.relation, "the relation " + what);
  require_text(edit.target_true, "target_true " + what);
  require_names(edit.target_aliases, "another name of target_new " + what);
  require_names(edit.paraphrases, "a paraphrase " + what);
  require_names(edit.generation, "a generation prompt " + what);
  for (const ProbeKind& kind : kProbes) {
    for (const Probe& probe : edit.*kind.list) {
      require_name(probe.prompt, concat("a ", kind.name, " prompt ", what));
      require_names(probe.answers, concat("a ", kind.name, " answer ", what));
      require_text(probe.kind, concat("the kind of a ", kind.name, " prompt ", what));
    }
  }
}

MultiHopCase read_case(Database& database, const Query& row) {
  MultiHopCase item;
  const std::int64_t id = row.integer(0);
  item.id = row.text(1);
  item.start = row.text(2);
  item.changed = row.integer(3) != 0;
  item.edited_hop = row.text(4);
  item.answer = row.text(5);
  item.new_answer = row.text(6);
  Query hop = database.query(
      "SELECT day, subject, relation, object FROM case_hops WHERE case_id = ?1 "
      "ORDER BY day, position");
  hop.bind(id);
  while (hop.step()) {
    (hop.integer(0) == 0 ? item.chain : item.chain_new)
        .push_back({hop.text(1), hop.text(2), hop.text(3)});
  }
  for (const TextKind& kind : kTexts) {
    Query text = database.query(
        "SELECT text FROM case_texts WHERE case_id = ?1 AND kind = ?2 ORDER BY position");
    text.bind(id, kind.name);
    while (text.step()) {
      (item.*kind.list).push_back(text.text(0));
    }
  }
  return item;
}

void write_case(
    Database& database, std::int64_t set, std::int64_t change, const MultiHopCase& item) {
  database
      .query(
          "INSERT INTO cases (set_id, key, start, changed, edited_hop, answer, new_answer, "
          "recorded) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
      .bind(
          set,
          item.id,
          item.start,
          item.changed,
          item.edited_hop,
          item.answer,
          item.new_answer,
          change)
      .run();
  const std::int64_t id = database.last_id();
  for (int day = 0; day < 2; ++day) {
    std::int64_t position = 0;
    for (const Hop& hop : day == 0 ? item.chain : item.chain_new) {
      database.query("INSERT INTO case_hops VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
          .bind(id, day, position++, hop.subject, hop.relation, hop.object)
          .run();
    }
  }
  for (const TextKind& kind : kTexts) {
    std::int64_t position = 0;
    for (const std::string& text : item.*kind.list) {
      database.query("INSERT INTO case_texts VALUES (?1, ?2, ?3, ?4)")
          .bind(id, kind.name, position++, text)
          .run();
    }
  }
}

constexpr const char* kCaseColumns =
    "SELECT c.id, c.key, c.start, c.changed, c.edited_hop, c.answer, c.new_answer FROM cases c "
    "JOIN sets s ON s.id = c.set_id WHERE c.superseded IS NULL ";

std::vector<std::string> probe_answers(Database& database, std::int64_t probe) {
  std::vector<std::string> answers;
  Query answer =
      database.query("SELECT text FROM probe_answers WHERE probe = ?1 ORDER BY position");
  answer.bind(probe);
  while (answer.step()) {
    answers.push_back(answer.text(0));
  }
  return answers;
}

ExplicitEdit read_edit(Database& database, const Query& row) {
  ExplicitEdit edit;
  const std::int64_t id = row.integer(0);
  edit.id = row.text(1);
  edit.prompt = row.text(2);
  edit.target_new = row.text(3);
  edit.subject = row.text(4);
  edit.relation = row.text(5);
  edit.target_true = row.text(6);
  edit.effective = row.maybe_date(7);
  Query alias = database.query("SELECT alias FROM edit_aliases WHERE edit = ?1 ORDER BY position");
  alias.bind(id);
  while (alias.step()) {
    edit.target_aliases.push_back(alias.text(0));
  }
  for (const PromptKind& kind : kPrompts) {
    Query prompt =
        database.query("SELECT prompt FROM probes WHERE edit = ?1 AND kind = ?2 ORDER BY position");
    prompt.bind(id, kind.name);
    while (prompt.step()) {
      (edit.*kind.list).push_back(prompt.text(0));
    }
  }
  for (const ProbeKind& kind : kProbes) {
    Query probe = database.query(
        "SELECT id, prompt, criterion FROM probes WHERE edit = ?1 AND kind = ?2 ORDER BY position");
    probe.bind(id, kind.name);
    while (probe.step()) {
      (edit.*kind.list)
          .push_back({probe.text(1), probe_answers(database, probe.integer(0)), probe.text(2)});
    }
  }
  return edit;
}

std::int64_t write_probe(
    Database& database,
    std::int64_t edit,
    const char* kind,
    std::int64_t position,
    const std::string& prompt,
    const std::string& criterion = {}) {
  database
      .query(
          "INSERT INTO probes (edit, kind, position, prompt, criterion) "
          "VALUES (?1, ?2, ?3, ?4, ?5)")
      .bind(edit, kind, position, prompt, criterion)
      .run();
  return database.last_id();
}

void write_edit(
    Database& database, std::int64_t set, std::int64_t change, const ExplicitEdit& edit) {
  database
      .query(
          "INSERT INTO edits (set_id, key, prompt, target_new, subject, relation, target_true, "
          "effective, recorded) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
      .bind(
          set,
          edit.id,
          edit.prompt,
          edit.target_new,
          edit.subject,
          edit.relation,
          edit.target_true,
          edit.effective,
          change)
      .run();
  const std::int64_t id = database.last_id();
  std::int64_t position = 0;
  for (const std::string& alias : edit.target_aliases) {
    database.query("INSERT INTO edit_aliases VALUES (?1, ?2, ?3)")
        .bind(id, position++, alias)
        .run();
  }
  for (const PromptKind& kind : kPrompts) {
    position = 0;
    for (const std::string& prompt : edit.*kind.list) {
      write_probe(database, id, kind.name, position++, prompt);
    }
  }
  for (const ProbeKind& kind : kProbes) {
    position = 0;
    for (const Probe& probe : edit.*kind.list) {
      const std::int64_t row =
          write_probe(database, id, kind.name, position++, probe.prompt, probe.kind);
      std::int64_t answer = 0;
      for (const std::string& text : probe.answers) {
        database.query("INSERT INTO probe_answers VALUES (?1, ?2, ?3)")
            .bind(row, answer++, text)
            .run();
      }
    }
  }
}

constexpr const char* kEditColumns =
    "SELECT c.id, c.key, c.prompt, c.target_new, c.subject, c.relation, c.target_true, c.effective "
    "FROM edits c JOIN sets s ON s.id = c.set_id WHERE c.superseded IS NULL ";

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

template <typename Record>
std::optional<Record> read_one(
    Database& database, const Kind<Record>& kind, std::string_view set, std::string_view id) {
  Query row = database.query(concat(kind.columns, "AND s.name = ?1 AND c.key = ?2"));
  row.bind(set, id);
  return row.step() ? std::optional(kind.read(database, row)) : std::nullopt;
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
std::int64_t EditStore::State::put_set(
    const KindOfRecord& kind, std::string_view set, std::span<const Record> records) {
  require_name(set, "the name of a set");
  for (const Record& record : records) {
    check(record);
  }
  return write("set", brief({set}), [&] {
    const std::int64_t set_id = require_set(set);
    std::int64_t different = 0;
    for (const Record& record : records) {
      Query row = database.query(concat(kind.columns, "AND c.set_id = ?1 AND c.key = ?2"));
      row.bind(set_id, record.id);
      const bool known = row.step();
      if (known && same(kind.read(database, row), record)) {
        continue;
      }
      const std::int64_t number = require_change();
      if (known) {
        database.query(kind.supersede).bind(row.integer(0), number).run();
      }
      kind.write(database, set_id, number, record);
      ++different;
    }
    return different;
  });
}

std::int64_t EditStore::put_multi_hop(std::string_view set, std::span<const MultiHopCase> cases) {
  return state_->put_set(kCases, set, cases);
}

std::vector<MultiHopCase> EditStore::multi_hop(std::string_view set) const {
  const Snapshot snapshot(state_->database);
  return read_set(state_->database, kCases, set);
}

std::int64_t EditStore::put_edits(std::string_view set, std::span<const ExplicitEdit> edits) {
  return state_->put_set(kEdits, set, edits);
}

std::vector<ExplicitEdit> EditStore::explicit_edits(std::string_view set) const {
  const Snapshot snapshot(state_->database);
  return read_set(state_->database, kEdits, set);
}

std::optional<MultiHopCase> EditStore::multi_hop_case(
    std::string_view set, std::string_view id) const {
  const Snapshot snapshot(state_->database);
  return read_one(state_->database, kCases, set, id);
}

std::optional<ExplicitEdit> EditStore::explicit_edit(
    std::string_view set, std::string_view id) const {
  const Snapshot snapshot(state_->database);
  return read_one(state_->database, kEdits, set, id);
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
