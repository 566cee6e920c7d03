#include "datasets/importers/import_readers.h"
#include "datasets/importers/record_reader.h"
#include "datasets/peer_marks.h"

// zsRE in the question answering form of MEND (1706.04115, 2110.11309).

namespace errata::datasets {
namespace {

void add_locality(ExplicitEdit& edit, const JsonFields& fields, ImportSink& sink) {
  const std::string text = optional_text_field(fields, "loc");
  if (text.empty()) {
    return;
  }
  if (!text.starts_with(kLocalityMark)) {
    sink.remark(concat(
        fields.where(),
        ": locality prompt left out: field 'loc' does not begin with '",
        kLocalityMark,
        "', as MEMIT and EasyEdit demand"));
    return;
  }
  add_probe(edit.locality, fields, "loc", "loc_ans", "nq", sink);
  // The file has no question mark, and what is asked has one (MEMIT, experiments/py).
  if (!edit.locality.empty() && !edit.locality.back().prompt.ends_with('?')) {
    edit.locality.back().prompt += '?';
  }
}

ExplicitEdit read_edit(const JsonRecord& record, bool counterfactual, ImportSink& sink) {
  const JsonFields& fields = record.fields;
  ExplicitEdit edit;
  edit.id = id_field(fields, "case_id", record.index);
  edit.subject = text_field(fields, "subject");
  edit.prompt = text_field(fields, "src");
  std::vector<std::string> answers = names_field(fields, "answers");
  ERRATA_CHECK(!answers.empty(), ErrorCode::kCorrupt, fields.where(), ": field 'answers' is empty");
  if (counterfactual) {
    edit.target_new = text_field(fields, "alt");
    edit.target_true = answers.front();
  } else {
    edit.target_new = answers.front();
    edit.target_aliases.assign(answers.begin() + 1, answers.end());
  }
  edit.paraphrases = texts_field(fields, "rephrase");
  add_locality(edit, fields, sink);
  add_portability(edit.portability, fields, sink);
  if (edit.prompt.find(edit.subject) == std::string::npos) {
    sink.remark(concat(
        fields.where(),
        ": subject '",
        edit.subject.substr(0, 40),
        "' is not in the prompt; methods that need its position cannot use this edit"));
  }
  return edit;
}

} // namespace

void import_zsre(const ImportOptions& options, ImportSink& sink) {
  ERRATA_CHECK(
      options.zsre_target == "alt" || options.zsre_target == "answers",
      ErrorCode::kInvalidArgument,
      "zsRE target '",
      options.zsre_target,
      "'; expected alt or answers");
  const bool counterfactual = options.zsre_target == "alt";
  read_records(options.path, sink, [&](const JsonRecord& record) {
    sink.edit(read_edit(record, counterfactual, sink));
  });
}

} // namespace errata::datasets
