#pragma once

#include "core/base/files.h"
#include "core/base/json.h"
#include "datasets/exporters/export_format.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

// For .cpp files: what the writers share.

namespace errata::datasets {

/// A JSON list that is written element by element.
class JsonListWriter {
 public:
  explicit JsonListWriter(const std::filesystem::path& path) : file_(path), path_(path) {
    file_.write("[");
  }

  void add(const OrderedJson& element);
  /// Puts the file in its place. `kInvalidArgument`, naming the first reason of the report, when
  /// the list is empty: no program can run on that.
  void commit(const ExportReport& report);

 private:
  AtomicFile file_;
  std::filesystem::path path_;
  std::int64_t written_ = 0;
};

/// Throws unless something was written.
void require_written(const ExportReport& report, const std::filesystem::path& path);

/// Peers number their records. Where the ids of all of them are numbers, and no two the same, they
/// stay; else a record's number is its position, for some of each would meet.
class RecordNumbers {
 public:
  template <typename Record>
  explicit RecordNumbers(const std::vector<Record>& records) {
    std::set<std::int64_t> met;
    own_ = std::all_of(records.begin(), records.end(), [&](const Record& record) {
      const auto number = own_number(record.id);
      return number && met.insert(*number).second;
    });
  }

  /// `id` is that of one of the records; `position` its place among those written.
  std::int64_t number(const std::string& id, std::int64_t position) const {
    return own_ ? *own_number(id) : position;
  }

 private:
  static std::optional<std::int64_t> own_number(const std::string& id);

  bool own_ = false;
};

/// Why no peer can fill the subject into the edit's prompt; empty when it can. They all mark its
/// place by `{}` and call Python's str.format.
std::string_view prompt_fault(const ExplicitEdit& edit);
/// The edit's prompt with `{}` in the first place of its subject. It must have no fault.
std::string prompt_template(const ExplicitEdit& edit);

/// `{"str": label, "id": label}`: peers look names up by id, and the label is one.
OrderedJson labelled(const std::string& label);

/// The first portability probe as `{"Recalled Relation", "New Question", "New Answer"}`, null
/// without one.
OrderedJson portability_json(const ExplicitEdit& edit);

/// The first paraphrase that is a question; empty when there is none.
std::string question_of(const ExplicitEdit& edit);

inline constexpr std::string_view kSubjectMissing =
    "its subject is not in its prompt, and the format marks the place";
inline constexpr std::string_view kBraces =
    "its prompt has a brace, and the format marks the subject's place with braces";
inline constexpr std::string_view kTruthMissing =
    "it has no former answer (target_true), and the format compares with it";
inline constexpr std::string_view kParaphraseMissing = "it has no paraphrase";
inline constexpr std::string_view kLocalityMissing = "it has no locality prompt";

} // namespace errata::datasets
