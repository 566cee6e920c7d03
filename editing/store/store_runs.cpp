#include "core/base/did_you_mean.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "editing/store/store_state.h"
#include "editing/store/text_check.h"

#include <algorithm>
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
  for (const Edit& edit : run.edits) {
    const std::string what = "an edit of run '" + brief({run.id}) + "'";
    require_name(edit.id, what);
    // An edit given outright may name neither.
    require_text(edit.subject, what);
    require_text(edit.relation, what);
    ERRATA_CHECK(
        edit.old_object.has_value() == (edit.kind != EditKind::kInjection) &&
            edit.new_object.has_value() == (edit.kind != EditKind::kRemoval),
        ErrorCode::kInvalidArgument,
        what,
        ": ",
        brief({edit.subject, edit.relation}),
        " lacks a value that its kind has, or has one that it lacks");
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

namespace {

constexpr const char* kRunColumns =
    "SELECT id, name, at, method, output, model_sha256, store_sha256, adapter_sha256, seed, "
    "valid_from, valid_to, config, metrics FROM runs ";

RunRecord read_run(Database& database, const Query& row) {
  RunRecord run;
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
  run.edits = read_edits(database, row.integer(0));
  return run;
}

} // namespace

std::vector<RunRecord> EditStore::runs() const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  std::vector<RunRecord> runs;
  Query row = state.database.query(concat(kRunColumns, "ORDER BY id"));
  while (row.step()) {
    runs.push_back(read_run(state.database, row));
  }
  return runs;
}

RunRecord EditStore::run(std::string_view id) const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  Query row = state.database.query(concat(kRunColumns, "WHERE name = ?1"));
  row.bind(id);
  if (row.step()) {
    return read_run(state.database, row);
  }
  std::vector<std::string> known;
  Query name = state.database.query("SELECT name FROM runs ORDER BY id");
  while (name.step()) {
    known.push_back(name.text(0));
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument,
      path().string(),
      ": there is no run '",
      brief({id}),
      "'",
      did_you_mean(
          id,
          known,
          known.empty() ? "; the store has recorded no run yet"
                        : "; 'errata store runs' lists them"));
}

RunRecord EditStore::last_run_with(std::string_view edit) const {
  State& state = *state_;
  const Snapshot snapshot(state.database);
  Query row = state.database.query(
      concat(kRunColumns, "WHERE id = (SELECT max(run) FROM run_edits WHERE key = ?1)"));
  row.bind(edit);
  ERRATA_CHECK(
      row.step(),
      ErrorCode::kInvalidArgument,
      path().string(),
      ": no recorded run carries an edit '",
      brief({edit}),
      "'; 'errata store runs RUN' lists those of a run");
  return read_run(state.database, row);
}

std::vector<CarriedEdit> EditStore::carried(const RunRecord& run) const {
  const Snapshot snapshot(state_->database);
  std::vector<CarriedEdit> result;
  for (const Edit& edit : run.edits) {
    CarriedEdit& item = result.emplace_back();
    item.edit = edit;
    if (!run.to) {
      continue; // given outright, of no day: the facts say nothing about it
    }
    FactQuery query;
    query.subject = edit.subject;
    query.relation = edit.relation;
    query.day = run.to;
    for (StoredFact& fact : find(query)) {
      item.now.push_back(std::move(fact.fact.object));
    }
    const auto among = [&](const std::string& object) {
      return std::find(item.now.begin(), item.now.end(), object) != item.now.end();
    };
    item.holds = edit.new_object ? among(*edit.new_object) : !among(*edit.old_object);
  }
  return result;
}

} // namespace errata::editing
