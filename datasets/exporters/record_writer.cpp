#include "datasets/exporters/record_writer.h"

#include <algorithm>
#include <charconv>

namespace errata::datasets {

void JsonListWriter::add(const OrderedJson& element) {
  file_.write(concat(written_ == 0 ? "\n" : ",\n", element.dump()));
  ++written_;
}

void JsonListWriter::commit(const ExportReport& report) {
  require_written(report, path_);
  file_.write("\n]\n");
  file_.commit();
}

void require_written(const ExportReport& report, const std::filesystem::path& path) {
  ERRATA_CHECK(
      report.written > 0,
      ErrorCode::kInvalidArgument,
      "nothing to write to ",
      path.string(),
      report.first_left_out.empty() ? ": there are no edits"
                                    : "; the first left out is " + report.first_left_out.front());
}

std::optional<std::int64_t> RecordNumbers::own_number(const std::string& id) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  const bool whole = error == std::errc{} && end == id.data() + id.size() && number >= 0;
  return whole ? std::optional(number) : std::nullopt;
}

std::string_view prompt_fault(const ExplicitEdit& edit) {
  if (edit.subject.empty() || edit.prompt.find(edit.subject) == std::string::npos) {
    return kSubjectMissing;
  }
  return edit.prompt.find_first_of("{}") == std::string::npos ? std::string_view() : kBraces;
}

std::string prompt_template(const ExplicitEdit& edit) {
  return std::string(edit.prompt)
      .replace(edit.prompt.find(edit.subject), edit.subject.size(), "{}");
}

OrderedJson labelled(const std::string& label) {
  return {{"str", label}, {"id", label}};
}

OrderedJson portability_json(const ExplicitEdit& edit) {
  if (edit.portability.empty()) {
    return nullptr;
  }
  const Probe& probe = edit.portability.front();
  return {
      {"Recalled Relation", ""},
      {"New Question", probe.prompt},
      {"New Answer", probe.answers.empty() ? "" : probe.answers.front()}};
}

std::string question_of(const ExplicitEdit& edit) {
  const auto found =
      std::find_if(edit.paraphrases.begin(), edit.paraphrases.end(), [](const std::string& text) {
        return text.ends_with('?');
      });
  return found == edit.paraphrases.end() ? std::string() : *found;
}

} // namespace errata::datasets
