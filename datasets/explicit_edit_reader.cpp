#include "core/base/json.h"
#include "datasets/field_reader.h"
#include "datasets/readers.h"

namespace errata::datasets {
namespace {

std::vector<Probe> locality_field(const JsonFields& fields) {
  std::vector<Probe> probes;
  if (fields.is_null("locality")) {
    return probes;
  }
  const Json& list = *fields.find("locality");
  ERRATA_CHECK(
      list.is_array(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field 'locality' is not a list; expected [{\"prompt\": ..., \"answer\": ...}]");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const JsonFields probe(list[i], concat(fields.where(), ": field 'locality[", i, "]'"));
    probe.reject_unknown({"prompt", "answer", "aliases"});
    Probe& added = probes.emplace_back();
    added.prompt = text_field(probe, "prompt");
    added.answers = {text_field(probe, "answer")};
    for (std::string& alias : list_field(probe, "aliases")) {
      added.answers.push_back(std::move(alias));
    }
  }
  return probes;
}

} // namespace

std::vector<ExplicitEdit> read_explicit_edits(const std::filesystem::path& path) {
  std::vector<ExplicitEdit> edits;
  std::set<std::string> ids;
  read_field_lines(path, [&](const JsonFields& fields, std::int64_t) {
    fields.reject_unknown(
        {"id",
         "prompt",
         "target_new",
         "subject",
         "relation",
         "target_true",
         "paraphrases",
         "locality",
         "effective"});
    ExplicitEdit edit;
    edit.id = text_field(fields, "id");
    require_new_id(ids, fields, edit.id);
    edit.prompt = text_field(fields, "prompt");
    edit.target_new = text_field(fields, "target_new");
    edit.subject = optional_text_field(fields, "subject");
    edit.relation = optional_text_field(fields, "relation");
    edit.target_true = optional_text_field(fields, "target_true");
    edit.paraphrases = list_field(fields, "paraphrases");
    edit.locality = locality_field(fields);
    edit.effective = date_field(fields, "effective");
    edits.push_back(std::move(edit));
  });
  ERRATA_CHECK(
      !edits.empty(),
      ErrorCode::kCorrupt,
      path.string(),
      ": no edits; expected one JSON object a line with id, prompt and target_new");
  return edits;
}

} // namespace errata::datasets
