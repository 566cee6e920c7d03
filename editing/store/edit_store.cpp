#include "editing/store/edit_store.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "editing/store/schema.h"
#include "editing/store/store_file.h"
#include "editing/store/store_state.h"
#include "editing/store/text_check.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace errata::editing {
void EditStore::State::begin(std::string_view what, std::string_view why) {
  require_not_lost();
  ERRATA_CHECK(!writing, ErrorCode::kInternal, "a change of the store is begun inside another one");
  require_name(what, "the action of a change");
  require_text(why, "the note of a change");
  database.query("BEGIN IMMEDIATE").run();
  writing = true;
  action = what;
  note = why;
  change = 0;
}

std::int64_t EditStore::State::commit() {
  bulk.finish(database);
  database.query("COMMIT").run();
  writing = false;
  names.clear();
  return std::exchange(change, 0);
}

void EditStore::State::roll_back() noexcept {
  writing = false;
  lost = false;
  change = 0;
  names.clear();
  bulk.forget();
  try {
    if (database.in_transaction()) { // after some failures (a full disk) SQLite has rolled back
      database.query("ROLLBACK").run();
    }
  } catch (const std::exception&) {
    // Nothing was written; the connection ends the transaction when it closes.
  }
}

void EditStore::State::lose() noexcept {
  roll_back();
  lost = true;
}

void EditStore::State::require_not_lost() const {
  ERRATA_CHECK(
      !lost,
      ErrorCode::kIo,
      database.path().string(),
      ": the change was undone by the failure before this; nothing of it was kept, begin it again");
}

void EditStore::State::undo_step(std::int64_t change_before) noexcept {
  change = change_before;
  names.clear();
  try {
    database.execute("ROLLBACK TO step; RELEASE step");
  } catch (const std::exception&) {
    // SQLite has ended the whole transaction: what follows must not become a change of its own.
    lose();
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
  make_store_file(path, options, [](Database& database) { initialise_schema(database); });
  return open(path, std::move(options));
}

EditStore EditStore::open(const std::filesystem::path& path, StoreOptions options) {
  std::error_code failed;
  ERRATA_CHECK(
      std::filesystem::exists(path, failed),
      ErrorCode::kNotFound,
      "store ",
      path.string(),
      " does not exist; 'errata store init' makes an empty one");
  require_file(path, "store");
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
  if (state_ != nullptr) {
    state_->roll_back();
  }
}

std::int64_t EditStore::Change::commit() {
  ERRATA_CHECK(
      state_ != nullptr && state_->writing,
      ErrorCode::kInternal,
      "the change is over: it was committed, or a failure has undone it");
  // A commit that fails (a full disk) leaves the change to the destructor, which undoes it.
  const std::int64_t number = state_->commit();
  state_ = nullptr;
  return number;
}

EditStore::Change EditStore::begin(std::string_view action, std::string_view note) {
  state_->begin(action, note);
  return Change(*state_);
}

} // namespace errata::editing
