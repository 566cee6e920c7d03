#include "datasets/importers/import_readers.h"
#include "datasets/importers/record_reader.h"

// CounterFact (2202.05262) in the schema of ROME and MEMIT, and in the flat one of EasyEdit.

namespace errata::datasets {
namespace {

std::string label_field(const JsonFields& rewrite, std::string_view name) {
  const Json* value = object_field(rewrite, name);
  ERRATA_CHECK(
      value != nullptr, ErrorCode::kCorrupt, rewrite.where(), ": field '", name, "' is missing");
  return text_field(JsonFields(*value, concat(rewrite.where(), ": field '", name, "'")), "str");
}

ExplicitEdit read_rome(const JsonRecord& record, const Json& rewrites, ImportSink& sink) {
  const JsonFields& fields = record.fields;
  const JsonFields rewrite(rewrites, fields.where() + ": field 'requested_rewrite'");
  ExplicitEdit edit;
  edit.id = id_field(fields, "case_id", record.index);
  edit.subject = text_field(rewrite, "subject");
  edit.relation = optional_text_field(rewrite, "relation_id");
  edit.prompt = fill_subject(text_field(rewrite, "prompt"), edit.subject, rewrite);
  edit.target_new = label_field(rewrite, "target_new");
  edit.target_true = label_field(rewrite, "target_true");
  edit.paraphrases = texts_field(fields, "paraphrase_prompts");
  // Neighbours are subjects that share the true object.
  for (const std::string& prompt : texts_field(fields, "neighborhood_prompts")) {
    edit.locality.push_back({prompt, {edit.target_true}, "neighborhood"});
  }
  edit.generation = texts_field(fields, "generation_prompts");
  add_portability(edit.portability, fields, sink);
  return edit;
}

ExplicitEdit read_flat(const JsonRecord& record, ImportSink& sink) {
  const JsonFields& fields = record.fields;
  ExplicitEdit edit;
  edit.id = id_field(fields, "case_id", record.index);
  edit.prompt = text_field(fields, "prompt");
  edit.target_new = required_text(fields, "target_new");
  edit.subject = optional_text_field(fields, "subject");
  const std::vector<std::string> truth = texts_field(fields, "ground_truth");
  edit.target_true = truth.empty() ? "" : truth.front();
  edit.paraphrases = texts_field(fields, "rephrase_prompt");
  add_probe(
      edit.locality, fields, "locality_prompt", "locality_ground_truth", "neighborhood", sink);
  add_portability(edit.portability, fields, sink);
  return edit;
}

} // namespace

void import_counterfact(const ImportOptions& options, ImportSink& sink) {
  read_records(options.path, sink, [&](const JsonRecord& record) {
    const Json* rewrite = object_field(record.fields, "requested_rewrite");
    sink.edit(rewrite == nullptr ? read_flat(record, sink) : read_rome(record, *rewrite, sink));
  });
}

} // namespace errata::datasets
