#include "core/base/error.h"
#include "core/base/json.h"
#include "editing/store/store_state.h"
#include "editing/store/text_check.h"

#include <charconv>

namespace errata::editing {
namespace {

using datasets::Edit;
using datasets::EditKind;

EditKind edit_kind(std::string_view name) {
  for (const EditKind kind : {EditKind::kModification, EditKind::kInjection}) {
    if (datasets::to_string(kind) == name) {
      return kind;
    }
  }
  return EditKind::kRemoval;
}

void require_object(const std::string& text, std::string_view what) {
  require_text(text, what);
  ERRATA_CHECK(
      text.empty() || parse_json(text, what).is_object(),
      ErrorCode::kInvalidArgument,
      what,
      " must be a JSON object");
}

void check(const RunRecord& run) {
  require_name(run.id, "the id of a run");
  for (const std::string* text :
       {&run.at,
        &run.method,
        &run.output,
        &run.model_sha256,
        &run.store_sha256,
        &run.adapter_sha256}) {
    require_text(*text, "a text of run '" + brief({run.id}) + "'");
  }
  require_object(run.config, "the config of a run");
  require_object(run.metrics, "the metrics of a run");
}

void write_edits(Database& database, std::int64_t run, const std::vector<Edit>& edits) {
  std::int64_t position = 0;
  for (const Edit& edit : edits) {
    database.query("INSERT INTO run_edits VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")
        .bind(
            run,
            position++,
            edit.id,
            datasets::to_string(edit.kind),
            edit.subject,
            edit.relation,
            edit.old_object,
            edit.new_object,
            edit.effective,
            edit.source,
            edit.provisional)
        .run();
  }
}

std::vector<Edit> read_edits(Database& database, std::int64_t run) {
  std::vector<Edit> edits;
  Query row = database.query(
      "SELECT key, kind, subject, relation, old_object, new_object, effective, source, provisional "
      "FROM run_edits WHERE run = ?1 ORDER BY position");
  row.bind(run);
  while (row.step()) {
    Edit& edit = edits.emplace_back();
    edit.id = row.text(0);
    edit.kind = edit_kind(row.text(1));
    edit.subject = row.text(2);
    edit.relation = row.text(3);
    edit.old_object = row.maybe_text(4);
    edit.new_object = row.maybe_text(5);
    edit.effective = row.maybe_date(6);
    edit.source = row.text(7);
    edit.provisional = row.integer(8) != 0;
  }
  return edits;
}

} // namespace

void EditStore::record_run(const RunRecord& run) {
  check(run);
  State& state = *state_;
  state.write("run", brief({run.id}), [&] {
    Query used = state.database.query("SELECT 1 FROM runs WHERE name = ?1");
    used.bind(run.id);
    ERRATA_CHECK(
        !used.step(),
        ErrorCode::kInvalidArgument,
        path().string(),
        ": run '",
        run.id,
        "' is recorded already");
    state.require_change();
    const std::string now = state.options.clock ? state.options.clock() : utc_now();
    state.database
        .query(
            "INSERT INTO runs (name, at, method, output, model_sha256, store_sha256, "
            "adapter_sha256, seed, valid_from, valid_to, config, metrics) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")
        .bind(
            run.id,
            run.at.empty() ? now : run.at,
            run.method,
            run.output,
            run.model_sha256,
            run.store_sha256,
            run.adapter_sha256,
            std::to_string(run.seed), // SQLite's integers are signed
            run.from,
            run.to,
            run.config,
            run.metrics)
        .run();
    write_edits(state.database, state.database.last_id(), run.edits);
    return true;
  });
}

std::vector<RunRecord> EditStore::runs() const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  std::vector<RunRecord> runs;
  Query row = state.database.query(
      "SELECT id, name, at, method, output, model_sha256, store_sha256, adapter_sha256, seed, "
      "valid_from, valid_to, config, metrics FROM runs ORDER BY id");
  while (row.step()) {
    RunRecord& run = runs.emplace_back();
    run.id = row.text(1);
    run.at = row.text(2);
    run.method = row.text(3);
    run.output = row.text(4);
    run.model_sha256 = row.text(5);
    run.store_sha256 = row.text(6);
    run.adapter_sha256 = row.text(7);
    const std::string seed = row.text(8);
    std::from_chars(seed.data(), seed.data() + seed.size(), run.seed);
    run.from = row.maybe_date(9);
    run.to = row.maybe_date(10);
    run.config = row.text(11);
    run.metrics = row.text(12);
    run.edits = read_edits(state.database, row.integer(0));
  }
  return runs;
}

} // namespace errata::editing
