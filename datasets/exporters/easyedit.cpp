#include "datasets/exporters/export_writers.h"
#include "datasets/exporters/record_writer.h"
#include "datasets/peer_marks.h"

#include <set>

namespace errata::datasets {
namespace {

OrderedJson one_or_list(const std::vector<std::string>& texts) {
  return texts.empty()       ? OrderedJson(nullptr)
         : texts.size() == 1 ? OrderedJson(texts.front())
                             : OrderedJson(texts);
}

// The name of the lists that a probe stands in; they must have one.
std::string kind_of(const Probe& probe) {
  return probe.kind.empty() ? "other" : probe.kind;
}

// {"neighborhood": {"prompt": [...], "ground_truth": [...]}}: for every edit its prompts of this
// kind with one answer each, null where there are none.
OrderedJson probe_lists(
    const std::vector<const ExplicitEdit*>& edits, std::vector<Probe> ExplicitEdit::*probes) {
  std::set<std::string> kinds;
  for (const ExplicitEdit* edit : edits) {
    for (const Probe& probe : edit->*probes) {
      kinds.insert(kind_of(probe));
    }
  }
  OrderedJson inputs = OrderedJson::object();
  for (const std::string& kind : kinds) {
    OrderedJson prompts = OrderedJson::array();
    OrderedJson answers = OrderedJson::array();
    for (const ExplicitEdit* edit : edits) {
      std::vector<std::string> asked;
      std::vector<std::string> accepted;
      for (const Probe& probe : edit->*probes) {
        if (kind_of(probe) == kind && !probe.answers.empty()) {
          asked.push_back(probe.prompt);
          accepted.push_back(probe.answers.front());
        }
      }
      prompts.push_back(one_or_list(asked));
      answers.push_back(one_or_list(accepted));
    }
    inputs[kind] = {{"prompt", prompts}, {"ground_truth", answers}};
  }
  return inputs;
}

} // namespace

void export_easyedit(
    const PeerData& data,
    const ExportOptions&,
    const std::filesystem::path& path,
    ExportReport& report) {
  std::vector<const ExplicitEdit*> edits;
  for (const ExplicitEdit& edit : data.edits) {
    const std::string_view fault = prompt_fault(edit);
    if (fault.empty()) {
      edits.push_back(&edit);
    } else {
      report.leave_out(edit.id, fault);
    }
  }
  report.written = static_cast<std::int64_t>(edits.size());
  require_written(report, path);
  OrderedJson lists;
  for (const char* name :
       {"prompts", "target_new", "ground_truth", "subject", "rephrase_prompts"}) {
    lists[name] = OrderedJson::array();
  }
  for (const ExplicitEdit* edit : edits) {
    lists["prompts"].push_back(edit->prompt);
    lists["target_new"].push_back(edit->target_new);
    lists["ground_truth"].push_back(
        edit->target_true.empty() ? std::string(kNoTruth) : edit->target_true);
    lists["subject"].push_back(edit->subject);
    // Not several: it takes the target, a string, apart into letters to go with a list of prompts.
    lists["rephrase_prompts"].push_back(
        edit->paraphrases.empty() ? OrderedJson(nullptr) : OrderedJson(edit->paraphrases.front()));
  }
  lists["locality_inputs"] = probe_lists(edits, &ExplicitEdit::locality);
  lists["portability_inputs"] = probe_lists(edits, &ExplicitEdit::portability);
  write_json(path, lists);
}

} // namespace errata::datasets
