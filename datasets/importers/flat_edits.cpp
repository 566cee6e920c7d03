#include "datasets/importers/import_readers.h"
#include "datasets/importers/record_reader.h"

// Records that say everything in fields of their own: WikiBigEdit, what LocFT reads, FastEdit.

namespace errata::datasets {
namespace {

std::string text_of_first(const JsonFields& fields, std::initializer_list<std::string_view> names) {
  const std::vector<std::string> texts = texts_field(fields, first_field(fields, names));
  return texts.empty() ? "" : texts.front();
}

// The names that WikiBigEdit, flat CounterFact and zsRE have for the same things.
ExplicitEdit read_any(const JsonRecord& record, ImportSink& sink) {
  const JsonFields& fields = record.fields;
  ExplicitEdit edit;
  edit.id = id_field(fields, "case_id", record.index);
  edit.subject = optional_text_field(fields, "subject");
  edit.prompt = text_of_first(fields, {"prompt", "update", "src"});
  edit.target_new = text_of_first(fields, {"target_new", "ans", "alt"});
  ERRATA_CHECK(
      !edit.prompt.empty() && !edit.target_new.empty(),
      ErrorCode::kCorrupt,
      fields.where(),
      edit.prompt.empty() ? ": no prompt (field 'prompt', 'update' or 'src')"
                          : ": no target (field 'target_new', 'ans' or 'alt')");
  edit.target_true = text_of_first(fields, {"ground_truth", "answers"});
  edit.paraphrases = texts_field(fields, first_field(fields, {"rephrase_prompt", "rephrase"}));
  for (std::string& persona : texts_field(fields, "personas")) {
    edit.paraphrases.push_back(std::move(persona)); // the same question as somebody would put it
  }
  add_probe(
      edit.locality,
      fields,
      first_field(fields, {"locality_prompt", "loc"}),
      first_field(fields, {"locality_ground_truth", "loc_ans"}),
      "locality",
      sink);
  add_probe(edit.portability, fields, "mhop", "mhop_ans", "mhop", sink);
  add_portability(edit.portability, fields, sink);
  return edit;
}

} // namespace

void import_wikibigedit(const ImportOptions& options, ImportSink& sink) {
  read_records(
      options.path, sink, [&](const JsonRecord& record) { sink.edit(read_any(record, sink)); });
}

void import_locft(const ImportOptions& options, ImportSink& sink) {
  import_wikibigedit(options, sink);
}

void import_fastedit(const ImportOptions& options, ImportSink& sink) {
  read_records(options.path, sink, [&](const JsonRecord& record) {
    const JsonFields& fields = record.fields;
    ExplicitEdit edit;
    edit.id = std::to_string(record.index);
    edit.subject = text_field(fields, "subject");
    edit.prompt = fill_subject(text_field(fields, "prompt"), edit.subject, fields);
    edit.target_new = text_field(fields, "target");
    edit.paraphrases = texts_field(fields, "queries");
    sink.edit(edit);
  });
}

} // namespace errata::datasets
