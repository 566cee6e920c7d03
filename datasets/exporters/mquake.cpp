#include "datasets/exporters/export_writers.h"
#include "datasets/exporters/record_writer.h"

#include <algorithm>
#include <unordered_map>

namespace errata::datasets {
namespace {

using EditsById = std::unordered_map<std::string, const ExplicitEdit*>;

OrderedJson triple(const Hop& hop, bool labelled_relation) {
  std::string relation = hop.relation;
  if (labelled_relation) {
    std::replace(relation.begin(), relation.end(), '_', ' ');
  }
  return {hop.subject, relation, hop.object};
}

OrderedJson triples(const std::vector<Hop>& chain, bool labelled_relation) {
  OrderedJson list = OrderedJson::array();
  for (const Hop& hop : chain) {
    list.push_back(triple(hop, labelled_relation));
  }
  return list;
}

// Null when a hop cannot be asked by itself.
OrderedJson single_hops(const std::vector<Hop>& chain, const PeerData& data) {
  OrderedJson list = OrderedJson::array();
  for (const Hop& hop : chain) {
    const HopWords words = data.words(hop);
    if (words.question.empty() || words.cloze.empty()) {
      return nullptr;
    }
    const auto aliases = data.aliases.find(hop.object);
    list.push_back(
        {{"question", words.question},
         {"cloze", words.cloze},
         {"answer", hop.object},
         {"answer_alias",
          aliases == data.aliases.end() ? std::vector<std::string>() : aliases->second}});
  }
  return list;
}

// A fact may stand in a chain from its object to its subject.
bool says(const ExplicitEdit& edit, const Hop& hop) {
  const Hop forward{edit.subject, edit.relation, edit.target_new};
  const Hop inverse{edit.target_new, edit.relation + std::string(kInverseSuffix), edit.subject};
  return hop == forward || hop == inverse;
}

/// The edits of a case, as the file has them.
struct Rewrites {
  OrderedJson requested = OrderedJson::array();
  OrderedJson triples = OrderedJson::array();
  OrderedJson places = OrderedJson::array();
  std::string_view fault; ///< why there are none
};

Rewrites rewrites_of(const MultiHopCase& item, const EditsById& edits, const PeerData& data) {
  Rewrites rewrites;
  for (const std::string& id : item.edit_ids) {
    const auto found = edits.find(id);
    if (found == edits.end()) {
      rewrites.fault = "one of its edits is not among those exported";
      return rewrites;
    }
    const ExplicitEdit& edit = *found->second;
    const auto hop =
        std::find_if(item.chain_new.begin(), item.chain_new.end(), [&](const Hop& candidate) {
          return says(edit, candidate);
        });
    rewrites.fault = hop == item.chain_new.end() ? "one of its edits is not on its chain"
                     : edit.target_true.empty()  ? kTruthMissing
                                                 : prompt_fault(edit);
    if (!rewrites.fault.empty()) {
      return rewrites;
    }
    std::string question = question_of(edit);
    if (question.empty()) {
      question = data.words({edit.subject, edit.relation, edit.target_new}).question;
    }
    rewrites.requested.push_back(
        {{"prompt", prompt_template(edit)},
         {"relation_id", edit.relation},
         {"target_new", labelled(edit.target_new)},
         {"target_true", labelled(edit.target_true)},
         {"subject", edit.subject},
         {"question", question}});
    rewrites.triples.push_back(triple(*hop, false));
    rewrites.places.push_back(hop - item.chain_new.begin());
  }
  if (item.edit_ids.empty()) {
    rewrites.fault = "no edit is on its chain";
  }
  return rewrites;
}

} // namespace

void export_mquake(
    const PeerData& data,
    const ExportOptions&,
    const std::filesystem::path& path,
    ExportReport& report) {
  EditsById edits;
  for (const ExplicitEdit& edit : data.edits) {
    edits.emplace(edit.id, &edit);
  }
  JsonListWriter writer(path);
  const RecordNumbers numbers(data.cases);
  for (const MultiHopCase& item : data.cases) {
    const Rewrites rewrites = rewrites_of(item, edits, data);
    const OrderedJson before = single_hops(item.chain, data);
    const OrderedJson after = single_hops(item.chain_new, data);
    if (!rewrites.fault.empty() || item.chain.empty() || before.is_null() || after.is_null()) {
      report.leave_out(
          item.id,
          !rewrites.fault.empty() ? rewrites.fault
          : item.chain.empty()    ? "it has no answer before the edits"
                                  : "a hop has no question or statement of its own");
      continue;
    }
    writer.add(
        {{"case_id", numbers.number(item.id, report.written)},
         {"requested_rewrite", rewrites.requested},
         {"questions", item.questions},
         {"answer", item.answer},
         {"answer_alias", item.answer_aliases},
         {"new_answer", item.new_answer},
         {"new_answer_alias", item.new_answer_aliases},
         {"single_hops", before},
         {"new_single_hops", after},
         {"orig",
          {{"triples", triples(item.chain, false)},
           {"triples_labeled", triples(item.chain, true)},
           {"new_triples", triples(item.chain_new, false)},
           {"new_triples_labeled", triples(item.chain_new, true)},
           {"edit_triples", rewrites.triples},
           {"edit_triples_idx", rewrites.places}}}});
    ++report.written;
  }
  writer.commit(report);
}

} // namespace errata::datasets
