#include "datasets/exporters/export_writers.h"
#include "datasets/exporters/record_writer.h"
#include "datasets/peer_marks.h"

namespace errata::datasets {
namespace {

// Without the question mark, which MEMIT adds, and with the mark that its loader demands.
std::string locality_text(std::string prompt) {
  if (prompt.ends_with('?')) {
    prompt.pop_back();
  }
  return prompt.starts_with(kLocalityMark) ? prompt : std::string(kLocalityMark) + prompt;
}

// MEMIT marks each place of the subject and fills one.
bool names_twice(const ExplicitEdit& edit) {
  return edit.prompt.find(edit.subject) != edit.prompt.rfind(edit.subject);
}

// Why MEMIT, or EasyEdit, could not take the edit; empty when they can.
std::string_view fault_of(const ExplicitEdit& edit, bool true_answers) {
  if (edit.locality.empty() || edit.locality.front().answers.empty()) {
    return kLocalityMissing;
  }
  if (edit.locality.front().prompt.find_first_of("{}") != std::string::npos) {
    return "its locality prompt has a brace, and MEMIT looks for a place to fill in there";
  }
  if (edit.paraphrases.empty()) {
    return kParaphraseMissing;
  }
  if (true_answers && edit.target_true.empty()) {
    return kTruthMissing;
  }
  const std::string_view fault = prompt_fault(edit);
  return fault.empty() && names_twice(edit)
             ? "its prompt has its subject twice, and MEMIT fills in one place"
             : fault;
}

} // namespace

void export_zsre(
    const PeerData& data,
    const ExportOptions& options,
    const std::filesystem::path& path,
    ExportReport& report) {
  const bool true_answers = options.zsre_target == "alt";
  JsonListWriter writer(path);
  for (const ExplicitEdit& edit : data.edits) {
    const std::string_view fault = fault_of(edit, true_answers);
    if (!fault.empty()) {
      report.leave_out(edit.id, fault);
      continue;
    }
    std::vector<std::string> answers = {true_answers ? edit.target_true : edit.target_new};
    if (!true_answers) {
      answers.insert(answers.end(), edit.target_aliases.begin(), edit.target_aliases.end());
    }
    OrderedJson record = {
        {"subject", edit.subject},
        {"src", edit.prompt},
        {"pred", edit.target_true},
        {"rephrase", edit.paraphrases.front()},
        {"alt", edit.target_new},
        {"answers", answers},
        {"loc", locality_text(edit.locality.front().prompt)},
        {"loc_ans", edit.locality.front().answers.front()},
        {"cond", concat(edit.target_true, " >> ", edit.target_new, " || ", edit.prompt)}};
    if (!edit.portability.empty()) {
      record["portability"] = portability_json(edit);
    }
    writer.add(record);
    ++report.written;
  }
  writer.commit(report);
}

} // namespace errata::datasets
