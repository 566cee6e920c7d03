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

} // namespace

void export_zsre(
    const PeerData& data,
    const ExportOptions& options,
    const std::filesystem::path& path,
    ExportReport& report) {
  const bool true_answers = options.zsre_target == "alt";
  JsonListWriter writer(path);
  for (const ExplicitEdit& edit : data.edits) {
    const bool probed = !edit.locality.empty() && !edit.locality.front().answers.empty();
    const bool answered = !true_answers || !edit.target_true.empty();
    if (edit.paraphrases.empty() || !probed || !answered || !prompt_template(edit)) {
      report.leave_out(
          edit.id,
          !probed                    ? kLocalityMissing
          : edit.paraphrases.empty() ? kParaphraseMissing
          : !answered                ? kTruthMissing
                                     : kSubjectMissing);
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
