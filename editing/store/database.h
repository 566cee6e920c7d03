#pragma once

// For the .cpp files of this folder: the one place that speaks to SQLiteCpp.

#include "core/base/date.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace errata::editing {

class Database;

/// Lets a map of texts be searched without making a text.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

/// Statements of one SQL text that nobody uses at the moment.
using IdleStatements = std::vector<std::unique_ptr<SQLite::Statement>>;

/// A prepared statement on loan from its database; goes back to be used again.
class Query {
 public:
  ~Query();
  Query(Query&&) noexcept = default;
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  /// Binds the parameters ?1, ?2, ... in order. An empty optional is NULL.
  template <typename... Values>
  Query& bind(const Values&... values) {
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }

  template <typename Value>
  void bind_at(int index, const Value& value) {
    bind_one(index, value);
  }

  /// Moves to the next row; false after the last.
  bool step();
  /// Runs a statement that has no rows of interest.
  void run();

  int columns() const;
  std::string column_name(int column) const;
  bool is_integer(int column) const;
  std::int64_t integer(int column) const;
  std::string text(int column) const;
  bool is_null(int column) const;
  std::optional<std::int64_t> maybe_integer(int column) const;
  std::optional<std::string> maybe_text(int column) const;
  std::optional<Date> maybe_date(int column) const;

 private:
  friend class Database;
  Query(Database& database, IdleStatements& home, std::unique_ptr<SQLite::Statement> statement);

  void bind_one(int index, std::int64_t value);
  void bind_one(int index, int value) { bind_one(index, static_cast<std::int64_t>(value)); }
  void bind_one(int index, bool value) { bind_one(index, static_cast<std::int64_t>(value)); }
  void bind_one(int index, std::string_view value);
  void bind_one(int index, const std::string& value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, const char* value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, const std::optional<Date>& value);
  void bind_one(int index, const std::optional<std::int64_t>& value);
  void bind_one(int index, const std::optional<std::string>& value);
  void bind_null(int index);

  Database* database_;
  IdleStatements* home_;
  std::unique_ptr<SQLite::Statement> statement_;
};

/// How long a writer waits for another one, and whether it has said so.
struct WriterTurn {
  std::string store;
  int timeout_ms = 0;
  std::chrono::steady_clock::time_point begin; ///< of the wait in progress
  bool told = false;
};

/// An open SQLite file. Every failure is an `errata::Error` that names it.
class Database {
 public:
  /// `flags` are SQLite's; foreign keys are on and writers wait `busy_timeout_ms` for each other.
  /// Without `durable` a commit does not wait for the disk.
  Database(std::filesystem::path path, int flags, int busy_timeout_ms, bool durable = true);

  const std::filesystem::path& path() const noexcept { return path_; }

  Query query(std::string_view sql);
  /// Runs one or more statements without parameters.
  void execute(std::string_view sql);
  std::int64_t integer(std::string_view sql);
  std::int64_t last_id() const;
  /// Rows that the last statement changed.
  std::int64_t changed() const;
  /// Rows that this connection has changed so far.
  std::int64_t rows_changed() const;

  bool in_transaction() const;

  [[noreturn]] void fail(const SQLite::Exception& error) const;

 private:
  friend class Query;

  std::filesystem::path path_;
  std::unique_ptr<WriterTurn> turn_; ///< SQLite keeps its address
  std::unique_ptr<SQLite::Database> database_;
  std::unordered_map<std::string, IdleStatements, TextHash, std::equal_to<>> idle_;
};

/// All reads until the end of its life see one state of the file, whatever others write.
class Snapshot {
 public:
  /// Does nothing inside a transaction, which sees one state already.
  explicit Snapshot(Database& database);
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 private:
  Database* database_;
};

} // namespace errata::editing
