#pragma once

#include "datasets/importers/text_lines.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace errata::datasets {

/// Rows of a CSV file (RFC 4180): cells in quotation marks may hold the delimiter, line ends and
/// doubled quotation marks. Empty lines are passed over. `kCorrupt` with the line for a quotation
/// mark that is not closed or stands inside a cell without them.
class CsvRows {
 public:
  CsvRows(std::filesystem::path path, char delimiter)
      : lines_(std::move(path)), delimiter_(delimiter) {}

  bool next();

  const std::vector<std::string>& cells() const noexcept { return cells_; }
  /// Of the row's first line.
  const std::string& where() const noexcept { return where_; }
  std::int64_t byte() const noexcept { return byte_; }

 private:
  void read_cells();
  std::size_t read_quoted(std::size_t place, std::string& cell);

  TextLines lines_;
  char delimiter_;
  std::string text_;
  std::vector<std::string> cells_;
  std::string where_;
  std::int64_t byte_ = 0;
};

} // namespace errata::datasets
