#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace errata::cli {

/// Rows of text in columns as wide as their longest cell, under a header. Long cells are cut, line
/// ends and other control characters are written as escapes. Columns are separated by two spaces.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header);

  void add(std::vector<std::string> row);
  bool empty() const noexcept { return rows_.empty(); }
  void print(std::ostream& out) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

/// "1 fact", "2 facts", "2 entities".
std::string counted(long long count, const std::string& noun);

} // namespace errata::cli
