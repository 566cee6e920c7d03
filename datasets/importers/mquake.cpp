#include "datasets/importers/import_readers.h"
#include "datasets/importers/record_reader.h"

#include <algorithm>

// MQuAKE (2305.14795; princeton-nlp/MQuAKE): a list of cases, each with its edits. Cases share
// edits, so an edit is named by what it says and is in the set once.

namespace errata::datasets {
namespace {

/// One hop of a chain with how it is asked.
struct AskedHop {
  Hop hop;
  std::string question;
  std::string cloze;
  std::vector<std::string> aliases; ///< of the object
};

// A list of three texts each: ids or labels.
std::vector<Hop> triples_field(const JsonFields& orig, std::string_view name) {
  std::vector<Hop> triples;
  for (const Json& triple : array_field(orig, name)) {
    const auto is_text = [](const Json& part) { return part.is_string() && part != ""; };
    ERRATA_CHECK(
        triple.is_array() && triple.size() == 3 &&
            std::all_of(triple.begin(), triple.end(), is_text),
        ErrorCode::kCorrupt,
        orig.where(),
        ": field '",
        name,
        "' has an element that is not three texts");
    triples.push_back(
        {triple[0].get<std::string>(), triple[1].get<std::string>(), triple[2].get<std::string>()});
  }
  return triples;
}

// The chain in labels, with the relations' ids (P175) where the record gives them: edits have ids.
std::vector<AskedHop> chain_field(
    const JsonFields& fields,
    const JsonFields& orig,
    const std::string& triples,
    const std::string& single_hops) {
  const std::vector<Hop> labels = triples_field(orig, triples + "_labeled");
  const std::vector<Hop> ids = triples_field(orig, triples);
  const Json& asked = array_field(fields, single_hops);
  ERRATA_CHECK(
      !labels.empty() && labels.size() == asked.size() && labels.size() == ids.size(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": '",
      triples,
      "' has ",
      ids.size(),
      " hops, '",
      triples,
      "_labeled' ",
      labels.size(),
      " and '",
      single_hops,
      "' ",
      asked.size(),
      "; expected one number above 0");
  std::vector<AskedHop> chain;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const JsonFields question(
        asked[i], concat(fields.where(), ": field '", single_hops, "[", i, "]'"));
    AskedHop& added = chain.emplace_back();
    added.hop = {labels[i].subject, ids[i].relation, labels[i].object};
    added.question = text_field(question, "question");
    added.cloze = text_field(question, "cloze");
    added.aliases = names_field(question, "answer_alias");
    ERRATA_CHECK(
        i == 0 || chain[i - 1].hop.object == added.hop.subject,
        ErrorCode::kCorrupt,
        fields.where(),
        ": '",
        triples,
        "_labeled' is broken: hop ",
        i + 1,
        " starts at '",
        added.hop.subject.substr(0, 40),
        "', not where the one before ends");
  }
  return chain;
}

std::vector<Hop> hops_of(const std::vector<AskedHop>& chain) {
  std::vector<Hop> hops;
  for (const AskedHop& asked : chain) {
    hops.push_back(asked.hop);
  }
  return hops;
}

std::string edited_hop(const std::vector<Hop>& chain, const std::vector<Hop>& chain_new) {
  std::size_t at = 0;
  while (at < chain.size() && at < chain_new.size() && chain[at] == chain_new[at]) {
    ++at;
  }
  return at == chain_new.size()       ? ""
         : at == 0                    ? "first"
         : at + 1 == chain_new.size() ? "last"
                                      : "middle";
}

// What a question and a cloze say about how the relation is put into words.
Relation wordings_of(const AskedHop& asked) {
  Relation relation;
  relation.name = asked.hop.relation;
  add_question(relation, asked.question, asked.hop.subject);
  add_opening(relation, asked.cloze, asked.hop.subject);
  return relation;
}

ExplicitEdit read_rewrite(const JsonFields& rewrite, const std::vector<AskedHop>& chain_new) {
  ExplicitEdit edit;
  edit.subject = text_field(rewrite, "subject");
  edit.relation = text_field(rewrite, "relation_id");
  const JsonFields target(*rewrite.find("target_new"), rewrite.where() + ": field 'target_new'");
  edit.target_new = text_field(target, "str");
  if (const Json* old = object_field(rewrite, "target_true")) {
    edit.target_true = text_field(JsonFields(*old, rewrite.where()), "str");
  }
  const auto hop = std::find_if(chain_new.begin(), chain_new.end(), [&](const AskedHop& asked) {
    return asked.hop == Hop{edit.subject, edit.relation, edit.target_new};
  });
  ERRATA_CHECK(
      hop != chain_new.end(),
      ErrorCode::kCorrupt,
      rewrite.where(),
      ": the edit of '",
      edit.subject.substr(0, 40),
      "' is not a hop of 'new_triples_labeled'");
  edit.target_aliases = hop->aliases;
  edit.prompt = fill_subject(text_field(rewrite, "prompt"), edit.subject, rewrite);
  edit.paraphrases = texts_field(rewrite, "question");
  edit.id = concat(edit.subject, '|', edit.relation, '|', edit.target_new);
  return edit;
}

std::vector<ExplicitEdit> read_rewrites(
    const JsonFields& fields, const std::vector<AskedHop>& chain_new) {
  std::vector<ExplicitEdit> edits;
  const Json& rewrites = array_field(fields, "requested_rewrite");
  for (std::size_t i = 0; i < rewrites.size(); ++i) {
    const JsonFields rewrite(
        rewrites[i], concat(fields.where(), ": field 'requested_rewrite[", i, "]'"));
    ERRATA_CHECK(
        object_field(rewrite, "target_new") != nullptr,
        ErrorCode::kCorrupt,
        rewrite.where(),
        ": field 'target_new' is missing");
    edits.push_back(read_rewrite(rewrite, chain_new));
  }
  return edits;
}

// What comes with a case that is taken. A part that is refused is a remark: an edit that an earlier
// case has in other words stays as it is there, and it changes the same fact.
void take_part(ImportSink& sink, const JsonFields& fields, const std::function<void()>& take) {
  try {
    take();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) {
      throw;
    }
    const std::string reason = error.what();
    sink.remark(reason.starts_with(fields.where()) ? reason : concat(fields.where(), ": ", reason));
  }
}

void take_case(const JsonRecord& record, ImportSink& sink) {
  const JsonFields& fields = record.fields;
  const Json* raw = object_field(fields, "orig");
  ERRATA_CHECK(raw != nullptr, ErrorCode::kCorrupt, fields.where(), ": field 'orig' is missing");
  const JsonFields orig(*raw, fields.where() + ": field 'orig'");
  const auto chain = chain_field(fields, orig, "triples", "single_hops");
  const auto chain_new = chain_field(fields, orig, "new_triples", "new_single_hops");
  const std::vector<ExplicitEdit> edits = read_rewrites(fields, chain_new);

  MultiHopCase item;
  item.id = id_field(fields, "case_id", record.index);
  item.chain = hops_of(chain);
  item.chain_new = hops_of(chain_new);
  item.start = item.chain_new.front().subject;
  item.changed = item.chain != item.chain_new;
  item.edited_hop = edited_hop(item.chain, item.chain_new);
  item.questions = texts_field(fields, "questions");
  ERRATA_CHECK(
      !item.questions.empty(), ErrorCode::kCorrupt, fields.where(), ": 'questions' is empty");
  item.answer = text_field(fields, "answer");
  item.answer_aliases = names_field(fields, "answer_alias");
  for (std::string& other : names_field(fields, "answer_extended")) {
    add_new(item.answer_aliases, std::move(other));
  }
  item.new_answer = text_field(fields, "new_answer");
  item.new_answer_aliases = names_field(fields, "new_answer_alias");
  for (const ExplicitEdit& edit : edits) {
    item.edit_ids.push_back(edit.id);
  }

  // First, for a case that is refused must leave nothing: neither edits nor wordings.
  sink.multi_hop(item);
  for (const ExplicitEdit& edit : edits) {
    take_part(sink, fields, [&] { sink.edit(edit); });
  }
  for (const auto* side : {&chain, &chain_new}) {
    for (const AskedHop& asked : *side) {
      take_part(sink, fields, [&] { sink.wordings(wordings_of(asked)); });
      if (!asked.aliases.empty()) {
        take_part(sink, fields, [&] { sink.entity({asked.hop.object, {}, asked.aliases}); });
      }
    }
  }
}

} // namespace

void import_mquake(const ImportOptions& options, ImportSink& sink) {
  read_records(options.path, sink, [&](const JsonRecord& record) { take_case(record, sink); });
}

} // namespace errata::datasets
