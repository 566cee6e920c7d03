#include "datasets/importers/csv_rows.h"

#include "core/base/error.h"

namespace errata::datasets {
namespace {

constexpr std::size_t kLargestRow = std::size_t{1} << 26;

} // namespace

bool CsvRows::next() {
  do {
    if (!lines_.next()) {
      return false;
    }
  } while (lines_.text().empty());
  where_ = lines_.where();
  byte_ = lines_.byte();
  text_ = lines_.text();
  read_cells();
  return true;
}

void CsvRows::read_cells() {
  cells_.clear();
  std::size_t place = 0;
  for (;;) {
    std::string& cell = cells_.emplace_back();
    if (place < text_.size() && text_[place] == '"') {
      place = read_quoted(place + 1, cell);
      ERRATA_CHECK(
          place == text_.size() || text_[place] == delimiter_,
          ErrorCode::kCorrupt,
          where_,
          ": text after the closing quotation mark of cell ",
          cells_.size());
    } else {
      const auto end = std::min(text_.find(delimiter_, place), text_.size());
      cell = text_.substr(place, end - place);
      ERRATA_CHECK(
          cell.find('"') == std::string::npos,
          ErrorCode::kCorrupt,
          where_,
          ": a quotation mark inside cell ",
          cells_.size(),
          "; expected the cell in quotation marks, and \"\" for each one in it");
      place = end;
    }
    if (place == text_.size()) {
      return;
    }
    ++place;
  }
}

// `place` is after the opening mark; returns the place after the closing one. A cell may go on for
// several lines.
std::size_t CsvRows::read_quoted(std::size_t place, std::string& cell) {
  for (;;) {
    const auto end = text_.find('"', place);
    cell.append(text_, place, end == std::string::npos ? end : end - place);
    if (end == std::string::npos) {
      ERRATA_CHECK(
          cell.size() < kLargestRow && lines_.next(),
          ErrorCode::kCorrupt,
          where_,
          ": the quotation mark of cell ",
          cells_.size(),
          " is not closed");
      cell += '\n';
      text_ = lines_.text();
      place = 0;
    } else if (end + 1 < text_.size() && text_[end + 1] == '"') {
      cell += '"';
      place = end + 2;
    } else {
      return end + 1;
    }
  }
}

} // namespace errata::datasets
