#pragma once

#include "core/base/json.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

// For .cpp files: large JSON documents, one element at a time.

namespace errata::datasets {

/// A place in a text file.
struct FilePlace {
  std::int64_t byte = 0;
  std::int64_t line = 1;
};

/// Walks the elements of a JSON array, or the members of a JSON object, in a file. Holds one of
/// them at a time, so that the memory does not grow with the file. `kCorrupt` with the line for
/// damage, for an element of more than 64 MiB and for one that is nested too deeply.
class JsonElements {
 public:
  enum class Keep { kText, kNothing };

  /// Opens the array or object that begins at `start`; at the beginning of the file, a byte order
  /// mark is accepted. `kNothing` only finds where the elements are.
  explicit JsonElements(std::filesystem::path path, FilePlace start = {}, Keep keep = Keep::kText);

  bool is_object() const noexcept { return is_object_; }

  /// Moves to the next element; false after the last one.
  bool next();

  /// Number of the current element, from 0.
  std::int64_t index() const noexcept { return index_; }
  /// Name of the current member of an object.
  const std::string& key() const noexcept { return key_; }
  /// Where the current value begins.
  const FilePlace& place() const noexcept { return value_place_; }
  /// Whether it is a list or an object.
  bool is_container() const noexcept { return is_container_; }
  Json value() const { return parse_json(text_, where()); }
  /// "data.json:1 (record 17, byte 88123)"
  std::string where() const;

 private:
  static constexpr int kEnd = -1;

  int peek();
  int take();
  void skip_space();
  void read_string();
  void read_container();
  void read_value();
  void read_key();
  void check_rest();
  void keep(int character);
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_;
  Keep keep_;
  bool whole_file_;
  std::ifstream in_;
  std::vector<char> buffer_;
  std::size_t position_ = 0;
  std::size_t filled_ = 0;
  FilePlace place_;

  bool is_object_ = false;
  bool finished_ = false;
  std::int64_t index_ = -1;
  std::string key_;
  std::string text_;
  FilePlace value_place_;
  bool is_container_ = false;
};

} // namespace errata::datasets
