#include "editing/store/edit_store.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "editing/store/schema.h"
#include "editing/store/store_state.h"
#include "editing/store/text_check.h"

#include <algorithm>
#include <system_error>

namespace errata::editing {
namespace {

void limit_pages(Database& database, std::int64_t pages) {
  if (pages > 0) {
    database.integer(concat("PRAGMA max_page_count = ", pages));
  }
}

} // namespace

void EditStore::State::begin(std::string_view what, std::string_view why) {
  ERRATA_CHECK(!writing, ErrorCode::kInternal, "a change of the store is begun inside another one");
  require_name(what, "the action of a change");
  require_text(why, "the note of a change");
  database.execute("BEGIN IMMEDIATE");
  writing = true;
  action = what;
  note = why;
  change = 0;
}

std::int64_t EditStore::State::commit() {
  database.execute("COMMIT");
  writing = false;
  return std::exchange(change, 0);
}

void EditStore::State::roll_back() noexcept {
  writing = false;
  change = 0;
  try {
    database.execute("ROLLBACK");
  } catch (const std::exception&) {
    // After some failures (a full disk) SQLite has rolled back by itself.
  }
}

void EditStore::State::undo_step(std::int64_t change_before) noexcept {
  change = change_before;
  try {
    database.execute("ROLLBACK TO step; RELEASE step");
  } catch (const std::exception&) {
    // SQLite has ended the whole transaction: what follows must not become a change of its own.
    roll_back();
  }
}

std::int64_t EditStore::State::require_change() {
  if (change != 0) {
    return change;
  }
  std::string now = options.clock ? options.clock() : utc_now();
  Query last = database.query("SELECT at FROM changes ORDER BY id DESC LIMIT 1");
  if (last.step()) {
    now = std::max(now, last.text(0)); // a clock set back must not break the order
  }
  database.query("INSERT INTO changes (at, action, note) VALUES (?1, ?2, ?3)")
      .bind(now, action, note)
      .run();
  change = database.last_id();
  return change;
}

EditStore::EditStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
EditStore::EditStore(EditStore&&) noexcept = default;
EditStore& EditStore::operator=(EditStore&&) noexcept = default;
EditStore::~EditStore() = default;

EditStore EditStore::create(const std::filesystem::path& path, StoreOptions options) {
  std::error_code ignored;
  ERRATA_CHECK(
      !std::filesystem::exists(std::filesystem::symlink_status(path, ignored)),
      ErrorCode::kInvalidArgument,
      path.string(),
      " exists; expected the name of a new store");
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  require_directory(folder, "folder for the store");
  auto state = std::make_unique<State>(
      path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, std::move(options));
  limit_pages(state->database, state->options.max_pages);
  try {
    initialise_schema(state->database);
  } catch (...) {
    state.reset();
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(path.string() + suffix, ignored);
    }
    throw;
  }
  return EditStore(std::move(state));
}

EditStore EditStore::open(const std::filesystem::path& path, StoreOptions options) {
  require_file(path, "store");
  std::error_code failed;
  ERRATA_CHECK(
      std::filesystem::file_size(path, failed) > 0,
      ErrorCode::kCorrupt,
      path.string(),
      ": is an empty file; expected an edit store");
  auto state = std::make_unique<State>(path, SQLite::OPEN_READWRITE, std::move(options));
  require_schema(state->database);
  limit_pages(state->database, state->options.max_pages);
  return EditStore(std::move(state));
}

const std::filesystem::path& EditStore::path() const noexcept {
  return state_->database.path();
}

EditStore::Change::Change(State& state) : state_(&state) {}

EditStore::Change::Change(Change&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

EditStore::Change::~Change() {
  if (state_ != nullptr && state_->writing) {
    state_->roll_back();
  }
}

std::int64_t EditStore::Change::commit() {
  ERRATA_CHECK(
      state_ != nullptr && state_->writing,
      ErrorCode::kInternal,
      "the change is over: it was committed, or a failure has undone it");
  const std::int64_t number = state_->commit();
  state_ = nullptr;
  return number;
}

EditStore::Change EditStore::begin(std::string_view action, std::string_view note) {
  state_->begin(action, note);
  return Change(*state_);
}

} // namespace errata::editing
