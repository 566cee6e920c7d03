#include "editing/plan/peer_data.h"

#include "core/base/did_you_mean.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "editing/plan/edit_plan.h"
#include "editing/plan/plan_cases.h"
#include "editing/plan/wordings.h"
#include "editing/store/edit_store.h"

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>

namespace errata::editing {
namespace {

using datasets::Edit;
using datasets::ExplicitEdit;
using datasets::Hop;
using datasets::HopWords;
using datasets::MultiHopCase;
using datasets::PeerData;
using datasets::Probe;

constexpr std::size_t kNeighbours = 10;
constexpr std::size_t kSameSubject = 5;
constexpr std::size_t kQuestionsThrough = 3;

/// The statements of a fact that end with its object, cut before it.
std::vector<std::string> openings(const Wordings& wordings, const Hop& hop) {
  std::vector<std::string> result;
  for (const std::string& statement : wordings.statements(hop)) {
    const std::string end = " " + hop.object; // which may itself end with a full stop
    const bool stopped = statement.ends_with(end + ".");
    const std::size_t size = end.size() + (stopped ? 1 : 0);
    if ((stopped || statement.ends_with(end)) && statement.size() > size) {
      const std::string opening = statement.substr(0, statement.size() - size);
      if (std::find(result.begin(), result.end(), opening) == result.end()) {
        result.push_back(opening);
      }
    }
  }
  return result;
}

bool can_be_asked(const Knowledge& knowledge, const Hop& hop) {
  const datasets::Relation* relation = knowledge.find_relation(hop.relation);
  return relation != nullptr && (!is_inverse(hop.relation) || !relation->inverse_noun.empty());
}

/// The function that puts hops into words, with all that it needs.
std::function<HopWords(const Hop&)> words_of(std::vector<datasets::Relation> relations) {
  const auto knowledge = std::make_shared<Knowledge>();
  knowledge->relations = std::move(relations);
  const auto wordings = std::make_shared<const Wordings>(*knowledge);
  return [knowledge, wordings](const Hop& hop) {
    HopWords words;
    if (can_be_asked(*knowledge, hop)) {
      const auto questions = wordings->questions(hop.subject, hop.relation);
      const auto clozes = openings(*wordings, hop);
      words.question = questions.empty() ? "" : questions.front();
      words.cloze = clozes.empty() ? "" : clozes.front();
    }
    return words;
  };
}

/// Turns the difference of two days into edits that carry their own words and probes.
class DifferenceRenderer {
 public:
  DifferenceRenderer(const Knowledge& knowledge, const EditPlan& plan) : wordings_(knowledge) {
    for (const KeptFact& kept : plan.kept) {
      by_relation_[kept.fact.relation].push_back(&kept);
      by_subject_[kept.fact.subject].push_back(&kept);
    }
  }

  ExplicitEdit edit(const Edit& edit) const {
    const Hop fact{edit.subject, edit.relation, *edit.new_object};
    ExplicitEdit result;
    result.id = edit.id;
    result.subject = edit.subject;
    result.relation = edit.relation;
    result.target_new = *edit.new_object;
    result.target_true = edit.old_object.value_or("");
    std::size_t shared = 0;
    std::vector<std::string> old_names = edit.old_aliases;
    old_names.push_back(result.target_true);
    std::vector<std::string> names = {result.target_new};
    names.insert(names.end(), edit.new_aliases.begin(), edit.new_aliases.end());
    names = without_shared(names, old_names, shared);
    result.target_aliases.assign(names.begin() + 1, names.end());
    result.effective = edit.effective;
    result.paraphrases = openings(wordings_, fact);
    for (std::string& question : wordings_.questions(fact.subject, fact.relation)) {
      result.paraphrases.push_back(std::move(question));
    }
    result.prompt = result.paraphrases.front();
    result.paraphrases.erase(result.paraphrases.begin());
    add_probes(result, by_relation_, edit.relation, kNeighbours, "neighborhood");
    add_probes(result, by_subject_, edit.subject, kSameSubject, "Relation_Specificity");
    return result;
  }

 private:
  using KeptFacts = std::map<std::string, std::vector<const KeptFact*>, std::less<>>;

  // The ones with the smallest hashes: every edit has its own, the same in every run.
  void add_probes(
      ExplicitEdit& edit,
      const KeptFacts& all,
      const std::string& key,
      std::size_t count,
      const char* kind) const {
    const auto found = all.find(key);
    if (found == all.end()) {
      return;
    }
    std::vector<std::pair<std::uint64_t, const KeptFact*>> order;
    for (const KeptFact* kept : found->second) {
      const Hop& fact = kept->fact;
      order.emplace_back(
          stable_hash(concat("probe|", edit.id, '|', fact.subject, '|', fact.relation)), kept);
    }
    std::sort(order.begin(), order.end());
    order.resize(std::min(order.size(), count));
    for (const auto& [hash, kept] : order) {
      const auto clozes = openings(wordings_, kept->fact);
      if (!clozes.empty()) {
        edit.locality.push_back({clozes.front(), kept->answers, kind});
      }
    }
  }

  Wordings wordings_;
  KeptFacts by_relation_;
  KeptFacts by_subject_;
};

std::string fact_key(const std::string& subject, const std::string& relation) {
  return concat(relation, '|', subject);
}

/// The edits that a chain goes through, in its order, whatever way it takes them.
std::vector<std::size_t> edits_on(
    const Chain& chain,
    const std::vector<ExplicitEdit>& edits,
    const std::unordered_multimap<std::string, std::size_t>& by_slot) {
  std::vector<std::size_t> found;
  for (const Hop& step : chain) {
    const Hop hop = forward(step);
    const auto [first, last] = by_slot.equal_range(fact_key(hop.subject, hop.relation));
    for (auto place = first; place != last; ++place) {
      if (edits[place->second].target_new == hop.object) {
        found.push_back(place->second);
      }
    }
  }
  return found;
}

void add_cases(PeerData& data, const std::vector<MultiHopCase>& cases) {
  std::unordered_multimap<std::string, std::size_t> by_slot;
  for (std::size_t i = 0; i < data.edits.size(); ++i) {
    by_slot.emplace(fact_key(data.edits[i].subject, data.edits[i].relation), i);
  }
  for (MultiHopCase item : cases) {
    item.edit_ids.clear();
    for (const std::size_t index : edits_on(item.chain_new, data.edits, by_slot)) {
      ExplicitEdit& edit = data.edits[index];
      item.edit_ids.push_back(edit.id);
      if (item.changed && edit.portability.size() < kQuestionsThrough) {
        Probe probe{item.questions.front(), {item.new_answer}, "Reasoning"};
        probe.answers.insert(
            probe.answers.end(), item.new_answer_aliases.begin(), item.new_answer_aliases.end());
        edit.portability.push_back(std::move(probe));
      }
    }
    data.cases.push_back(std::move(item));
  }
}

void add_aliases(PeerData& data, const World& world, const Chain& chain) {
  for (const Hop& hop : chain) {
    const std::vector<std::string> names = world.answers(hop);
    if (names.size() > 1) {
      data.aliases[hop.object] = {names.begin() + 1, names.end()};
    }
  }
}

} // namespace

void require_set(const EditStore& store, std::string_view set) {
  std::vector<std::string> names;
  for (const SetInfo& info : store.sets()) {
    names.push_back(info.name);
  }
  ERRATA_CHECK(
      std::find(names.begin(), names.end(), set) != names.end(),
      ErrorCode::kInvalidArgument,
      "the store has no set '",
      set,
      "'",
      did_you_mean(set, names));
}

PeerData peer_data_of_set(const EditStore& store, std::string_view set) {
  require_set(store, set);
  Knowledge vocabulary = load_vocabulary(store);
  PeerData data;
  data.edits = store.explicit_edits(set);
  data.cases = store.multi_hop(set);
  data.aliases = std::move(vocabulary.aliases);
  data.words = words_of(std::move(vocabulary.relations));
  return data;
}

PeerDifference peer_data_of_days(const EditStore& store, const Date& from, const Date& to) {
  const Knowledge knowledge = load_knowledge(store);
  PlanOptions options;
  options.rehearsal_share = 0; // nothing is trained on here: every unchanged fact may be a probe
  const EditPlan plan = make_edit_plan(knowledge, from, to, store.diff(from, to), options);
  const DifferenceRenderer renderer(knowledge, plan);
  PeerDifference difference;
  PeerData& data = difference.data;
  for (const Edit& edit : plan.edits) {
    if (edit.new_object) {
      data.edits.push_back(renderer.edit(edit));
    } else {
      difference.removals.push_back(edit.id);
    }
  }
  add_cases(data, plan.cases);
  const World before(knowledge, from);
  const World after(knowledge, to);
  for (const MultiHopCase& item : data.cases) {
    add_aliases(data, before, item.chain);
    add_aliases(data, after, item.chain_new);
  }
  data.words = words_of(knowledge.relations);
  return difference;
}

} // namespace errata::editing
