#pragma once

#include "core/base/json.h"
#include "datasets/record.h"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// What the columns of a table mean (docs/formats/datasets.md, "A table of one's own").

namespace errata::datasets {

/// The values of a column in the row at hand: a JSON list gives several, a JSON field that is not
/// there none. That a table with a header has the column is checked once, not here.
using ColumnValues = std::function<std::vector<std::string>(const std::string& column)>;

/// Where the text of a field comes from: a column, a text with `{column}` in it, or several of
/// both.
class FieldSource {
 public:
  FieldSource() = default;
  FieldSource(const Json& description, const std::string& where);

  /// All values, without blank ones.
  std::vector<std::string> values(const ColumnValues& columns) const;
  /// The first value; empty when there is none.
  std::string value(const ColumnValues& columns) const;
  /// Columns that are named.
  void collect_columns(std::vector<std::string>& columns) const;

 private:
  /// Text and columns in turn: text, column, text, ...
  struct Part {
    std::vector<std::string> pieces;
    std::string split; ///< cuts a value into several
  };

  void add(const Json& description, const std::string& where);

  std::vector<Part> parts_;
};

struct ProbeSource {
  FieldSource prompt;
  FieldSource answers;
  std::string kind;
};

struct TableMapping {
  enum class Holds { kFacts, kEdits };

  Holds holds = Holds::kFacts;
  char delimiter = '\0'; ///< none given: by the file's extension
  bool header = true;
  std::map<std::string, FieldSource, std::less<>> fields;
  std::vector<ProbeSource> locality;
  std::vector<ProbeSource> portability;
  std::vector<Relation> relations;

  const FieldSource& field(std::string_view name) const;
  /// All columns that are named anywhere.
  std::vector<std::string> columns() const;
};

/// Reads a mapping file. Errors name it and the field; an unknown field names the nearest.
TableMapping read_table_mapping(const std::filesystem::path& path);

} // namespace errata::datasets
