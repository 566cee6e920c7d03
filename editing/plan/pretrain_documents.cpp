#include "editing/plan/pretrain_documents.h"

#include "core/base/error.h"
#include "editing/plan/document_group.h"
#include "editing/plan/plan_cases.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace errata::editing {

using datasets::Hop;

namespace {

/// Splits documents into lines, as trainers of vocabularies want them.
void append_lines(const Document& document, std::vector<std::string>& lines) {
  const std::string text = document.prompt + document.completion;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
}

template <typename Write>
Mixture::Maker from_facts(const std::vector<const Hop*>& hops, Write write) {
  return [hops, deck = Deck(hops.size()), write](Random& random) mutable {
    return write(*hops[deck.draw(random)], random);
  };
}

class PretrainMixture {
 public:
  PretrainMixture(const PretrainPlan& plan, const Wordings& words, std::uint64_t seed)
      : plan_(plan),
        words_(words),
        mix_(plan.options.mix),
        mixture_(std::make_unique<Mixture>(seed)) {}

  std::unique_ptr<DocumentStream> build(const std::set<std::string>& changing) {
    add_facts();
    add_chains(changing);
    add_dated();
    ERRATA_CHECK(
        !mixture_->empty(),
        ErrorCode::kInvalidArgument,
        "nothing to pre-train on; expected a positive weight for a kind that has facts");
    return std::move(mixture_);
  }

 private:
  void add(
      const std::string& name,
      double weight,
      const std::vector<const Hop*>& hops,
      Document (Wordings::*write)(const Hop&, Random&) const) {
    if (hops.empty()) {
      return;
    }
    mixture_->add(
        name, weight, false, from_facts(hops, [&words = words_, write](const Hop& hop, Random& r) {
          return (words.*write)(hop, r);
        }));
  }

  void add_facts() {
    const auto single = pointers(plan_.single);
    const auto inverse = pointers(plan_.inverse);
    std::vector<const Hop*> sayable;
    for (const auto* list : {&single, &inverse}) {
      std::copy_if(list->begin(), list->end(), std::back_inserter(sayable), [&](const Hop* hop) {
        return words_.has_step(hop->relation);
      });
    }
    add("statement", mix_.statement, single, &Wordings::statement_document);
    add("question", mix_.question, single, &Wordings::question_document);
    add("inverse.statement", mix_.inverse_statement, inverse, &Wordings::statement_document);
    add("inverse.question", mix_.inverse_question, inverse, &Wordings::question_document);
    add("single.reasoning", mix_.single_in_steps, sayable, &Wordings::step_document);
  }

  void add_chains(const std::set<std::string>& changing) {
    const GroupedDeck deck = chain_deck(plan_.chains, changing);
    if (deck.empty()) {
      return;
    }
    const auto maker = [&](bool steps) {
      return [deck = deck, &chains = plan_.chains, &words = words_, steps](Random& random) mutable {
        return words.chain_document(chains[deck.draw(random)], steps, random);
      };
    };
    mixture_->add("chain.reasoning", mix_.chain_in_steps, false, maker(true));
    mixture_->add("chain.question", mix_.chain_direct, false, maker(false));
  }

  void add_dated() {
    if (plan_.history.empty()) {
      return;
    }
    const std::vector<HistoryItem>& items = plan_.history;
    mixture_->add(
        "dated.statement",
        mix_.dated_statement,
        false,
        [&items, &words = words_, deck = Deck(items.size())](Random& random) mutable {
          const HistoryItem& item = items[deck.draw(random)];
          return words.dated_statement_document(item.fact, item.year, random);
        });
    mixture_->add(
        "dated.question",
        mix_.dated_question,
        false,
        [&items, &words = words_, deck = Deck(items.size())](Random& random) mutable {
          const HistoryItem& item = items[deck.draw(random)];
          return words.dated_question_document(item.fact, item.year, random);
        });
  }

  const PretrainPlan& plan_;
  const Wordings& words_;
  PretrainMix mix_;
  std::unique_ptr<Mixture> mixture_;
};

} // namespace

PretrainPlan make_pretrain_plan(
    const Knowledge& knowledge, const Date& day, const PretrainOptions& options) {
  const World world(knowledge, day);
  PretrainPlan plan;
  plan.day = day;
  plan.options = options;
  plan.options.chains.without.merge(evaluated_chains(knowledge));
  plan.options.chains.development_share = options.development_share;
  plan.single = world.single_facts();
  plan.inverse = world.inverse_facts();
  ERRATA_CHECK(
      !plan.single.empty(),
      ErrorCode::kInvalidArgument,
      "no fact holds on ",
      to_string(day),
      "; expected a day that the store covers");
  plan.chains = world.chains(plan.options.chains);
  plan.history = history_items(knowledge, day, options.history);
  for (HistoryItem& item : plan.history) {
    item.trained = true;
  }
  plan.changing_relations = changing_relations(knowledge);
  plan.development_cases = development_cases(
      world, world, Wordings(knowledge), plan.options.chains, options.development_share);
  plan.cases = plan_cases(world, world).cases;
  return plan;
}

std::unique_ptr<DocumentStream> pretrain_documents(
    const PretrainPlan& plan, const Wordings& wordings, std::uint64_t seed) {
  return PretrainMixture(plan, wordings, seed).build(plan.changing_relations);
}

std::vector<std::string> vocabulary_lines(
    const PretrainPlan& plan, const Wordings& wordings, std::size_t limit, std::uint64_t seed) {
  std::vector<std::string> lines;
  const std::unique_ptr<DocumentStream> documents = pretrain_documents(plan, wordings, seed);
  while (lines.size() < limit) {
    append_lines(documents->next(), lines);
  }
  lines.resize(limit);
  return lines;
}

} // namespace errata::editing
