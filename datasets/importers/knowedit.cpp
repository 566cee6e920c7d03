#include "datasets/importers/import_readers.h"
#include "datasets/importers/record_reader.h"

// KnowEdit (2401.01286): recent, counterfactual, ZsRE and WikiBio parts.

namespace errata::datasets {
namespace {

// Criteria ("Reasoning", "Forgetfulness") with their lists of {prompt, ground_truth}.
void add_criteria(
    std::vector<Probe>& probes, const JsonFields& fields, std::string_view name, ImportSink& sink) {
  const Json* criteria = object_field(fields, name);
  if (criteria == nullptr) {
    return;
  }
  const JsonFields lists(*criteria, concat(fields.where(), ": field '", name, "'"));
  for (const auto& [criterion, value] : criteria->items()) {
    const Json& list = array_field(lists, criterion);
    for (std::size_t i = 0; i < list.size(); ++i) {
      const JsonFields probe(list[i], concat(lists.where(), ", '", criterion, "[", i, "]'"));
      add_probe(probes, probe, "prompt", "ground_truth", criterion, sink);
    }
  }
}

std::string_view require_field(
    const JsonFields& fields, std::initializer_list<std::string_view> names) {
  const std::string_view name = first_field(fields, names);
  ERRATA_CHECK(
      !name.empty(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": neither field '",
      *names.begin(),
      "' nor '",
      *(names.begin() + 1),
      "' is there");
  return name;
}

} // namespace

void import_knowedit(const ImportOptions& options, ImportSink& sink) {
  read_records(options.path, sink, [&](const JsonRecord& record) {
    const JsonFields& fields = record.fields;
    ExplicitEdit edit;
    edit.id = id_field(fields, "case_id", record.index);
    edit.subject = required_text(fields, require_field(fields, {"subject", "concept"}));
    edit.prompt = required_text(fields, require_field(fields, {"prompt", "text"}));
    const std::string_view target = require_field(fields, {"target_new", "labels"});
    edit.target_new = required_text(fields, target);
    const std::vector<std::string> all = names_field(fields, target);
    edit.target_aliases.assign(all.begin() + 1, all.end());
    const std::vector<std::string> truth = texts_field(fields, "ground_truth");
    edit.target_true = truth.empty() ? "" : truth.front();
    edit.paraphrases = texts_field(fields, first_field(fields, {"rephrase_prompt", "rephrase"}));
    add_criteria(edit.locality, fields, "locality", sink);
    add_criteria(edit.portability, fields, "portability", sink);
    sink.edit(edit);
  });
}

} // namespace errata::datasets
