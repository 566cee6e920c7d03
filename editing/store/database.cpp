#include "editing/store/database.h"

#include "core/base/error.h"
#include "core/base/interrupt.h"
#include "core/base/log.h"

#include <sqlite3.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace errata::editing {
namespace {

struct Reason {
  ErrorCode code;
  std::string_view text;
};

Reason reason_of(int sqlite_code) {
  switch (sqlite_code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::kIo, "another process is writing to it; try again when that is done"};
    case SQLITE_FULL:
      return {ErrorCode::kIo, "the disk or the store is full; nothing was changed, make room"};
    case SQLITE_IOERR:
      return {ErrorCode::kIo, "reading or writing failed; nothing was changed"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return {ErrorCode::kIo, "cannot be opened or written; see its permissions and folder"};
    case SQLITE_NOTADB:
      return {ErrorCode::kCorrupt, "is not an SQLite file; expected an edit store"};
    case SQLITE_CORRUPT:
      return {ErrorCode::kCorrupt, "is damaged; restore it from a dump or a copy"};
    case SQLITE_TOOBIG:
      return {ErrorCode::kInvalidArgument, "a text is too long for SQLite"};
    default:
      return {ErrorCode::kInternal, "unexpected SQLite failure"};
  }
}

// SQLite asks this while another process holds the write lock: 0 gives up, 1 tries again.
int wait_for_turn(void* context, int tries) {
  auto& turn = *static_cast<WriterTurn*>(context);
  const auto now = std::chrono::steady_clock::now();
  if (tries == 0) {
    turn.begin = now;
    turn.told = false;
  }
  const auto waited = now - turn.begin;
  if (waited >= std::chrono::milliseconds(turn.timeout_ms) || interrupted()) {
    return 0;
  }
  if (!turn.told && waited >= std::chrono::seconds(1)) {
    turn.told = true;
    log(LogLevel::kInfo,
        concat(
            turn.store,
            ": another process is writing; waiting up to ",
            turn.timeout_ms / 1000,
            " s"));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(std::min(1 + tries, 50)));
  return 1;
}

} // namespace

Query::Query(Database& database, IdleStatements& home, std::unique_ptr<SQLite::Statement> statement)
    : database_(&database), home_(&home), statement_(std::move(statement)) {}

Query::~Query() {
  if (!statement_) {
    return;
  }
  try {
    statement_->tryReset();
    statement_->clearBindings();
    home_->push_back(std::move(statement_));
  } catch (const std::exception&) {
    // A statement that cannot be reset is dropped; its failure was reported when it ran.
  }
}

bool Query::step() {
  try {
    return statement_->executeStep();
  } catch (const SQLite::Exception& error) {
    database_->fail(error);
  }
}

void Query::run() {
  while (step()) {
  }
}

int Query::columns() const {
  return statement_->getColumnCount();
}

std::string Query::column_name(int column) const {
  return statement_->getColumnName(column);
}

bool Query::is_integer(int column) const {
  return statement_->getColumn(column).isInteger();
}

std::int64_t Query::integer(int column) const {
  return statement_->getColumn(column).getInt64();
}

std::string Query::text(int column) const {
  return statement_->getColumn(column).getString();
}

bool Query::is_null(int column) const {
  return statement_->getColumn(column).isNull();
}

std::optional<std::int64_t> Query::maybe_integer(int column) const {
  return is_null(column) ? std::nullopt : std::optional(integer(column));
}

std::optional<std::string> Query::maybe_text(int column) const {
  return is_null(column) ? std::nullopt : std::optional(text(column));
}

std::optional<Date> Query::maybe_date(int column) const {
  if (is_null(column)) {
    return std::nullopt;
  }
  const auto date = try_parse_date(text(column));
  ERRATA_CHECK(
      date.has_value(),
      ErrorCode::kCorrupt,
      database_->path().string(),
      " is damaged: '",
      text(column),
      "' is not a date; restore it from a dump or a copy");
  return date;
}

void Query::bind_one(int index, std::int64_t value) {
  statement_->bind(index, value);
}

void Query::bind_one(int index, std::string_view value) {
  try {
    statement_->bind(index, std::string(value));
  } catch (const SQLite::Exception& error) {
    database_->fail(error);
  }
}

void Query::bind_one(int index, const std::optional<Date>& value) {
  value ? bind_one(index, std::string_view(to_string(*value))) : bind_null(index);
}

void Query::bind_one(int index, const std::optional<std::int64_t>& value) {
  value ? bind_one(index, *value) : bind_null(index);
}

void Query::bind_one(int index, const std::optional<std::string>& value) {
  value ? bind_one(index, std::string_view(*value)) : bind_null(index);
}

void Query::bind_null(int index) {
  statement_->bind(index);
}

Database::Database(std::filesystem::path path, int flags, int busy_timeout_ms, bool durable)
    : path_(std::move(path)), turn_(std::make_unique<WriterTurn>()) {
  turn_->store = path_.string();
  turn_->timeout_ms = busy_timeout_ms;
  try {
    // One object is for one thread, so SQLite need not lock for another.
    database_ = std::make_unique<SQLite::Database>(path_.string(), flags | SQLite::OPEN_NOMUTEX);
    sqlite3_busy_handler(database_->getHandle(), wait_for_turn, turn_.get());
    database_->exec("PRAGMA foreign_keys = ON");
    database_->exec(durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
    // Slots of a large store lie all over the file; the log of a large import is not kept.
    database_->exec("PRAGMA cache_size = -65536; PRAGMA journal_size_limit = 67108864");
  } catch (const SQLite::Exception& error) {
    fail(error);
  }
}

Query Database::query(std::string_view sql) {
  auto idle = idle_.find(sql);
  if (idle == idle_.end()) {
    idle = idle_.emplace(std::string(sql), IdleStatements()).first;
  }
  IdleStatements& home = idle->second;
  if (!home.empty()) {
    auto statement = std::move(home.back());
    home.pop_back();
    return Query(*this, home, std::move(statement));
  }
  try {
    return Query(*this, home, std::make_unique<SQLite::Statement>(*database_, idle->first));
  } catch (const SQLite::Exception& error) {
    fail(error);
  }
}

void Database::execute(std::string_view sql) {
  try {
    database_->exec(std::string(sql));
  } catch (const SQLite::Exception& error) {
    fail(error);
  }
}

std::int64_t Database::integer(std::string_view sql) {
  Query found = query(sql);
  return found.step() ? found.integer(0) : 0;
}

std::int64_t Database::last_id() const {
  return database_->getLastInsertRowid();
}

std::int64_t Database::changed() const {
  return database_->getChanges();
}

std::int64_t Database::rows_changed() const {
  return database_->getTotalChanges();
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(database_->getHandle()) == 0;
}

void Database::fail(const SQLite::Exception& error) const {
  const Reason reason = reason_of(error.getErrorCode());
  ERRATA_FAIL(reason.code, path_.string(), ": ", reason.text, " (SQLite: ", error.what(), ")");
}

Snapshot::Snapshot(Database& database) : database_(nullptr) {
  if (!database.in_transaction()) {
    database.execute("BEGIN DEFERRED");
    database_ = &database;
  }
}

Snapshot::~Snapshot() {
  if (database_ == nullptr) {
    return;
  }
  try {
    database_->execute("ROLLBACK");
  } catch (const std::exception&) {
    // Nothing was written; the connection ends the transaction when it closes.
  }
}

} // namespace errata::editing
