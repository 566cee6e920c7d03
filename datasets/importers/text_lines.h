#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace errata::datasets {

/// Lines of a text file with their places. A byte order mark and `\r\n` are accepted; a line of
/// more than 64 MiB and one that is not UTF-8 are `kCorrupt`.
class TextLines {
 public:
  explicit TextLines(std::filesystem::path path);

  /// Moves to the next line; false after the last one.
  bool next();

  const std::string& text() const noexcept { return text_; }
  /// Where the line begins.
  std::int64_t byte() const noexcept { return byte_; }
  /// "data.csv:17"
  std::string where() const;

 private:
  std::filesystem::path path_;
  std::ifstream in_;
  std::string text_;
  std::int64_t line_ = 0;
  std::int64_t byte_ = 0;
  std::int64_t next_byte_ = 0;
};

} // namespace errata::datasets
