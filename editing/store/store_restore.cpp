#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "editing/store/bulk.h"
#include "editing/store/dump_format.h"
#include "editing/store/schema.h"
#include "editing/store/store_file.h"
#include "editing/store/store_state.h"

#include <algorithm>
#include <fstream>
#include <map>

namespace errata::editing {
namespace {

/// Reads a dump line by line and knows where it is.
class DumpReader {
 public:
  explicit DumpReader(const std::filesystem::path& path) : path_(path) {
    require_file(path, "dump");
    in_.open(path, std::ios::binary);
    ERRATA_CHECK(in_.good(), ErrorCode::kIo, "cannot open ", path.string());
  }

  std::string where() const { return concat(path_.string(), ":", line_); }

  /// The next line; `kCorrupt` where the file ends before its last line.
  Json next() {
    if (line_ > 0) {
      hash_.update(text_).update("\n");
    }
    const bool complete = static_cast<bool>(std::getline(in_, text_)) && !in_.eof();
    ERRATA_CHECK(!in_.bad(), ErrorCode::kIo, "cannot read ", path_.string());
    ++line_;
    ERRATA_CHECK(
        complete,
        ErrorCode::kCorrupt,
        where(),
        ": the dump is cut off; expected a last line {\"end\": ...}");
    Json value = parse_json(text_, where());
    ERRATA_CHECK(
        value.is_object(), ErrorCode::kCorrupt, where(), ": expected a JSON object of the dump");
    return value;
  }

  void check_end(const Json& value, std::int64_t rows) {
    const JsonFields fields(value, where());
    ERRATA_CHECK(
        fields.required<std::int64_t>("end") == rows &&
            fields.required<std::string>("sha256") == hash_.hex_digest(),
        ErrorCode::kCorrupt,
        where(),
        ": the lines above are not those that were dumped; their hash differs");
    std::string rest;
    ERRATA_CHECK(
        !std::getline(in_, rest), ErrorCode::kCorrupt, where(), ": text after the last line");
  }

 private:
  std::filesystem::path path_;
  std::ifstream in_;
  std::string text_;
  std::int64_t line_ = 0;
  Sha256 hash_;
};

std::vector<std::string> table_columns(Database& database, std::string_view table) {
  std::vector<std::string> columns;
  Query row = database.query("SELECT name FROM pragma_table_info(?1) ORDER BY cid");
  row.bind(table);
  while (row.step()) {
    columns.push_back(row.text(0));
  }
  return columns;
}

class RowWriter {
 public:
  explicit RowWriter(Database& database) : database_(database) {
    for (const DumpTable& table : kDumpTables) {
      Table& entry = tables_[std::string(table.name)];
      entry.columns = table_columns(database, table.name);
      entry.insert = concat("INSERT INTO ", table.name, " VALUES (");
      for (std::size_t i = 1; i <= entry.columns.size(); ++i) {
        entry.insert += concat(i == 1 ? "?" : ", ?", i);
      }
      entry.insert += ")";
    }
  }

  void write(const Json& row, const std::string& where) {
    const JsonFields fields(row, where);
    const auto name = fields.required<std::string>("table");
    const auto table = tables_.find(name);
    ERRATA_CHECK(
        table != tables_.end(), ErrorCode::kCorrupt, where, ": unknown table '", name, "'");
    const auto& columns = table->second.columns;
    for (const auto& item : row.items()) {
      ERRATA_CHECK(
          item.key() == "table" ||
              std::find(columns.begin(), columns.end(), item.key()) != columns.end(),
          ErrorCode::kCorrupt,
          where,
          ": table '",
          name,
          "' has no column '",
          item.key(),
          "'");
    }
    Query insert = database_.query(table->second.insert);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      bind(insert, static_cast<int>(i) + 1, row.find(columns[i]), row, where);
    }
    try {
      insert.run();
    } catch (const Error& error) {
      ERRATA_CHECK(
          error.code() == ErrorCode::kIo,
          ErrorCode::kCorrupt,
          where,
          ": the row breaks a rule of the store: ",
          error.what());
      throw;
    }
  }

 private:
  struct Table {
    std::vector<std::string> columns;
    std::string insert;
  };

  static void bind(
      Query& insert,
      int index,
      Json::const_iterator value,
      const Json& row,
      const std::string& where) {
    if (value == row.end()) {
      insert.bind_at(index, std::optional<std::int64_t>());
    } else if (value->is_number_integer()) {
      insert.bind_at(index, value->get<std::int64_t>());
    } else {
      ERRATA_CHECK(
          value->is_string(),
          ErrorCode::kCorrupt,
          where,
          ": a column holds neither text nor an integer");
      insert.bind_at(index, value->get_ref<const std::string&>());
    }
  }

  Database& database_;
  std::map<std::string, Table> tables_;
};

void read_rows(Database& database, DumpReader& reader) {
  database.execute("BEGIN IMMEDIATE; PRAGMA defer_foreign_keys = ON");
  drop_search_indices(database);
  RowWriter writer(database);
  std::int64_t rows = 0;
  for (Json row = reader.next();; row = reader.next()) {
    if (row.contains("end")) {
      reader.check_end(row, rows);
      break;
    }
    writer.write(row, reader.where());
    ++rows;
  }
  make_search_indices(database);
  database.execute("COMMIT");
}

void fill(Database& database, DumpReader& reader) {
  const Json header = reader.next();
  const JsonFields fields(header, reader.where());
  ERRATA_CHECK(
      fields.has(kDumpMagic),
      ErrorCode::kCorrupt,
      reader.where(),
      ": not a dump of an edit store; expected {\"errata_store\": 1, ...}");
  const auto schema = fields.required<std::int64_t>("schema");
  ERRATA_CHECK(
      fields.required<int>(kDumpMagic) <= kDumpVersion && schema <= kSchemaVersion,
      ErrorCode::kUnsupported,
      reader.where(),
      ": a dump of schema version ",
      schema,
      ", this program knows versions up to ",
      kSchemaVersion,
      "; use a newer errata");
  ERRATA_CHECK(
      schema >= 1, ErrorCode::kCorrupt, reader.where(), ": schema version ", schema, " is none");
  initialise_schema(database, schema);
  read_rows(database, reader);
  require_schema(database);
}

} // namespace

EditStore EditStore::restore(
    const std::filesystem::path& dump, const std::filesystem::path& path, StoreOptions options) {
  DumpReader reader(dump);
  make_store_file(path, options, [&](Database& database) { fill(database, reader); });
  return open(path, std::move(options));
}

} // namespace errata::editing
