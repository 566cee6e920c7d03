#include "datasets/exporters/export_writers.h"
#include "datasets/exporters/record_writer.h"

#include <algorithm>
#include <array>

namespace errata::datasets {
namespace {

constexpr std::array<std::string_view, 3> kPortability = {
    "Reasoning", "Subject_Aliasing", "Logical_Generalization"};
constexpr std::array<std::string_view, 2> kLocality = {"Relation_Specificity", "Forgetfulness"};

// The loader knows these criteria alone; what has another name goes under the first.
OrderedJson criteria(const std::vector<Probe>& probes, std::span<const std::string_view> known) {
  OrderedJson lists = OrderedJson::object();
  for (const Probe& probe : probes) {
    const auto found = std::find(known.begin(), known.end(), probe.kind);
    const std::string name(found == known.end() ? known.front() : *found);
    lists[name].push_back(
        {{"prompt", probe.prompt}, {"ground_truth", OrderedJson::array({probe.answers})}});
  }
  return lists;
}

} // namespace

void export_knowedit(
    const PeerData& data,
    const ExportOptions&,
    const std::filesystem::path& path,
    ExportReport& report) {
  JsonListWriter writer(path);
  for (const ExplicitEdit& edit : data.edits) {
    OrderedJson record = {
        {"subject", edit.subject},
        {"prompt", edit.prompt},
        {"target_new", edit.target_new},
        {"ground_truth",
         edit.target_true.empty() ? OrderedJson::array() : OrderedJson::array({edit.target_true})}};
    if (!edit.paraphrases.empty()) {
      record["rephrase_prompt"] = edit.paraphrases.front();
    }
    record["portability"] = criteria(edit.portability, kPortability);
    record["locality"] = criteria(edit.locality, kLocality);
    writer.add(record);
    ++report.written;
  }
  writer.commit(report);
}

} // namespace errata::datasets
