#include "datasets/exporters/export_writers.h"
#include "datasets/exporters/record_writer.h"

#include <algorithm>

namespace errata::datasets {
namespace {

// The format gives neighbours no answers of their own: they share the edited fact's former one.
std::vector<std::string> neighbours(const ExplicitEdit& edit) {
  std::vector<std::string> prompts;
  for (const Probe& probe : edit.locality) {
    if (std::find(probe.answers.begin(), probe.answers.end(), edit.target_true) !=
        probe.answers.end()) {
      prompts.push_back(probe.prompt);
    }
  }
  return prompts;
}

} // namespace

void export_counterfact(
    const PeerData& data,
    const ExportOptions&,
    const std::filesystem::path& path,
    ExportReport& report) {
  JsonListWriter writer(path);
  const RecordNumbers numbers(data.edits);
  for (const ExplicitEdit& edit : data.edits) {
    const std::string_view fault = edit.target_true.empty() ? kTruthMissing : prompt_fault(edit);
    if (!fault.empty()) {
      report.leave_out(edit.id, fault);
      continue;
    }
    const std::int64_t id = numbers.number(edit.id, report.written);
    OrderedJson record = {
        {"case_id", id},
        {"pararel_idx", id},
        {"requested_rewrite",
         {{"prompt", prompt_template(edit)},
          {"relation_id", edit.relation},
          {"target_new", labelled(edit.target_new)},
          {"target_true", labelled(edit.target_true)},
          {"subject", edit.subject}}},
        {"paraphrase_prompts", edit.paraphrases},
        {"neighborhood_prompts", neighbours(edit)},
        {"attribute_prompts", OrderedJson::array()},
        {"generation_prompts", edit.generation}};
    if (!edit.portability.empty()) {
      record["portability"] = portability_json(edit);
    }
    writer.add(record);
    ++report.written;
  }
  writer.commit(report);
}

void export_counterfact_flat(
    const PeerData& data,
    const ExportOptions&,
    const std::filesystem::path& path,
    ExportReport& report) {
  JsonListWriter writer(path);
  const RecordNumbers numbers(data.edits);
  for (const ExplicitEdit& edit : data.edits) {
    const bool probed = !edit.locality.empty() && !edit.locality.front().answers.empty();
    if (edit.paraphrases.empty() || !probed) {
      report.leave_out(edit.id, probed ? kParaphraseMissing : kLocalityMissing);
      continue;
    }
    OrderedJson record = {
        {"case_id", numbers.number(edit.id, report.written)},
        {"prompt", edit.prompt},
        {"target_new", edit.target_new},
        {"subject", edit.subject},
        {"ground_truth", edit.target_true},
        {"rephrase_prompt", edit.paraphrases.front()},
        {"locality_prompt", edit.locality.front().prompt},
        {"locality_ground_truth", edit.locality.front().answers.front()}};
    if (!edit.portability.empty()) {
      record["portability"] = portability_json(edit);
    }
    writer.add(record);
    ++report.written;
  }
  writer.commit(report);
}

} // namespace errata::datasets
