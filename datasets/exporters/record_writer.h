#pragma once

#include "core/base/files.h"
#include "core/base/json.h"
#include "datasets/exporters/export_format.h"

#include <cstdint>
#include <optional>
#include <string>

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

/// Peers number their records: an id that is a number stays, any other becomes `position`.
std::int64_t numeric_id(const std::string& id, std::int64_t position);

/// The edit's prompt with `{}` in the place of its subject; nothing where the subject is not in it.
std::optional<std::string> prompt_template(const ExplicitEdit& edit);

/// `{"str": label, "id": label}`: peers look names up by id, and the label is one.
OrderedJson labelled(const std::string& label);

/// The first portability probe as `{"Recalled Relation", "New Question", "New Answer"}`, null
/// without one.
OrderedJson portability_json(const ExplicitEdit& edit);

/// The first paraphrase that is a question; empty when there is none.
std::string question_of(const ExplicitEdit& edit);

inline constexpr std::string_view kSubjectMissing =
    "its subject is not in its prompt, and the format marks the place";
inline constexpr std::string_view kTruthMissing =
    "it has no former answer (target_true), and the format compares with it";
inline constexpr std::string_view kParaphraseMissing = "it has no paraphrase";
inline constexpr std::string_view kLocalityMissing = "it has no locality prompt";

} // namespace errata::datasets
