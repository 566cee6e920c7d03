#include "core/base/json.h"
#include "datasets/field_reader.h"
#include "datasets/readers.h"

namespace errata::datasets {
namespace {

std::vector<Probe> probes_field(const JsonFields& fields, std::string_view name) {
  std::vector<Probe> probes;
  if (fields.is_null(name)) {
    return probes;
  }
  const Json& list = *fields.find(name);
  ERRATA_CHECK(
      list.is_array(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' is not a list; expected [{\"prompt\": ..., \"answer\": ...}]");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const JsonFields probe(list[i], concat(fields.where(), ": field '", name, "[", i, "]'"));
    probe.reject_unknown({"prompt", "answer", "aliases", "kind"});
    Probe& added = probes.emplace_back();
    added.prompt = text_field(probe, "prompt");
    added.answers = {text_field(probe, "answer")};
    for (std::string& alias : list_field(probe, "aliases")) {
      added.answers.push_back(std::move(alias));
    }
    added.kind = optional_text_field(probe, "kind");
  }
  return probes;
}

ExplicitEdit read_edit(const JsonFields& fields) {
  fields.reject_unknown(
      {"id",
       "prompt",
       "target_new",
       "target_aliases",
       "subject",
       "relation",
       "target_true",
       "paraphrases",
       "locality",
       "portability",
       "generation",
       "effective"});
  ExplicitEdit edit;
  edit.id = text_field(fields, "id");
  edit.prompt = text_field(fields, "prompt");
  edit.target_new = text_field(fields, "target_new");
  edit.target_aliases = list_field(fields, "target_aliases");
  edit.subject = optional_text_field(fields, "subject");
  edit.relation = optional_text_field(fields, "relation");
  edit.target_true = optional_text_field(fields, "target_true");
  edit.paraphrases = list_field(fields, "paraphrases");
  edit.locality = probes_field(fields, "locality");
  edit.portability = probes_field(fields, "portability");
  edit.generation = list_field(fields, "generation");
  edit.effective = date_field(fields, "effective");
  return edit;
}

} // namespace

void read_explicit_edits(
    const std::filesystem::path& path,
    const std::function<void(const ExplicitEdit& edit, std::int64_t line)>& visit) {
  bool any = false;
  read_field_lines(path, [&](const JsonFields& fields, std::int64_t line) {
    any = true;
    visit(read_edit(fields), line);
  });
  ERRATA_CHECK(
      any,
      ErrorCode::kCorrupt,
      path.string(),
      ": no edits; expected one JSON object a line with id, prompt and target_new");
}

std::vector<ExplicitEdit> read_explicit_edits(const std::filesystem::path& path) {
  std::vector<ExplicitEdit> edits;
  std::set<std::string> ids;
  read_explicit_edits(path, [&](const ExplicitEdit& edit, std::int64_t line) {
    require_new_id(ids, path, line, edit.id);
    edits.push_back(edit);
  });
  return edits;
}

} // namespace errata::datasets
