#include "core/base/error.h"
#include "editing/store/set_records.h"
#include "editing/store/text_check.h"

#include <array>

namespace errata::editing {

using datasets::ExplicitEdit;
using datasets::Probe;

namespace {

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

} // namespace

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

} // namespace errata::editing
