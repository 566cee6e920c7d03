#include "editing/plan/edit_documents.h"

#include "core/base/error.h"
#include "editing/plan/document_group.h"

#include <algorithm>
#include <set>
#include <utility>

namespace errata::editing {

using datasets::Hop;

namespace {

// The weights below are those of the lab recipe (docs/editing-data.md).

class EditMixture {
 public:
  EditMixture(
      const EditPlan& plan,
      const Wordings& words,
      const AugmentOptions& options,
      SharedDocuments echo)
      : plan_(plan), words_(words), options_(options), echo_(std::move(echo)) {
    for (const EditedSlot& slot : plan.slots) {
      slots_.push_back(&slot.fact);
      ++edit_counts_[slot.fact.relation];
      edited_subjects_.insert(slot.fact.subject);
    }
    changing_.insert(plan.edited_relations.begin(), plan.edited_relations.end());
    changing_.insert(plan.related_relations.begin(), plan.related_relations.end());
  }

  std::unique_ptr<DocumentStream> build(std::uint64_t seed) {
    auto mixture = std::make_unique<Mixture>(seed);
    DocumentGroup edits = edit_group();
    const double scale = edits.total();
    edits.pour(*mixture, scale);
    rehearsal_group().pour(*mixture, scale * options_.rehearsal_ratio);
    ripple_group().pour(*mixture, scale * options_.ripple_ratio);
    echo_group().pour(*mixture, scale * options_.echo_ratio);
    return mixture;
  }

  std::unique_ptr<DocumentStream> build_rehearsal(std::uint64_t seed) {
    auto mixture = std::make_unique<Mixture>(seed);
    rehearsal_group().pour(*mixture, options_.rehearsal_ratio);
    echo_group().pour(*mixture, options_.echo_ratio);
    ERRATA_CHECK(
        !mixture->empty(),
        ErrorCode::kInvalidArgument,
        "nothing to rehearse; expected unchanged facts in the store and a rehearsal share above 0");
    return mixture;
  }

 private:
  void add_facts(
      DocumentGroup& group,
      const std::string& name,
      HopList hops,
      double statement,
      double question,
      double reasoning) {
    const GroupedDeck deck = even_deck(hops.size());
    if (options_.statement) {
      group.add(name + ".statement", statement, deck, hops, words_, &Wordings::object_document);
    }
    if (options_.question) {
      group.add(name + ".question", question, deck, hops, words_, &Wordings::question_document);
    }
    if (options_.reasoning) {
      HopList sayable = with_step(hops);
      GroupedDeck step_deck = even_deck(sayable.size());
      group.add(
          name + ".reasoning",
          reasoning,
          std::move(step_deck),
          std::move(sayable),
          words_,
          &Wordings::step_document);
    }
  }

  DocumentGroup edit_group() {
    DocumentGroup group(false);
    add_facts(group, "edit", slots_, 1, 2, 1.5);
    add_facts(group, "injected", pointers(plan_.injected), 0.7, 1.2, 0.8);
    if (options_.inverse) {
      add_facts(group, "inverse", pointers(plan_.injected_inverse), 0.5, 0.5, 0.8);
    }
    if (!options_.question || !plan_.explicit_edits.empty()) {
      add_own_prompts(group);
    }
    return group;
  }

  /// The edits' own prompts are always part of the mixture.
  void add_own_prompts(DocumentGroup& group) {
    auto examples = std::make_shared<const std::vector<Document>>(edit_examples(plan_, words_));
    group.add_maker(
        "edit.prompt", 2, [examples, deck = Deck(examples->size())](Random& random) mutable {
          return (*examples)[deck.draw(random)];
        });
  }

  DocumentGroup rehearsal_group() {
    DocumentGroup group(true);
    if (options_.rehearsal) {
      add_rehearsal(group);
    }
    if (options_.rehearsal && options_.near) {
      add_near(group);
    }
    if (options_.dated) {
      add_dated(group);
    }
    return group;
  }

  void add_rehearsal(DocumentGroup& group) {
    const HopList facts = pointers(plan_.rehearsed);
    const HopList inverse = pointers(plan_.rehearsed_inverse);
    const GroupedDeck deck = balanced_deck(facts);
    const GroupedDeck inverse_deck = balanced_deck(inverse);
    group.add("rehearsal.statement", 0.6, deck, facts, words_, &Wordings::object_document);
    group.add("rehearsal.question", 1.5, deck, facts, words_, &Wordings::question_document);
    group.add(
        "rehearsal.inverse", 0.7, inverse_deck, inverse, words_, &Wordings::question_document);
    group.add(
        "rehearsal.inverse_reasoning",
        0.2,
        inverse_deck,
        inverse,
        words_,
        &Wordings::step_document);
    add_chains(group, "rehearsal.chain", plan_.rehearsal_chains, 1.3, 1.0);
  }

  void add_near(DocumentGroup& group) {
    const HopList facts = pointers(plan_.rehearsed);
    const HopList inverse = pointers(plan_.rehearsed_inverse);
    const HopList sayable = with_step(facts);
    group.add(
        "near.question",
        2,
        near_deck(facts, edit_counts_),
        facts,
        words_,
        &Wordings::question_document);
    group.add(
        "near.reasoning",
        0.5,
        near_deck(sayable, edit_counts_),
        sayable,
        words_,
        &Wordings::step_document);
    group.add(
        "near.statement",
        0.6,
        near_deck(facts, edit_counts_),
        facts,
        words_,
        &Wordings::object_document);
    group.add(
        "near.inverse",
        0.3,
        near_deck(inverse, edit_counts_),
        inverse,
        words_,
        &Wordings::question_document);
    add_near_questions(group, "near.related", 0.5, filter(facts, [&](const Hop& hop) {
                         return contains(plan_.related_relations, hop.relation);
                       }));
    add_near_questions(group, "near.subject", 0.3, filter(facts, [&](const Hop& hop) {
                         return edited_subjects_.contains(hop.subject) &&
                                !edit_counts_.contains(hop.relation);
                       }));
  }

  void add_near_questions(DocumentGroup& group, std::string name, double weight, HopList hops) {
    GroupedDeck deck = even_deck(hops.size());
    group.add(
        std::move(name),
        weight,
        std::move(deck),
        std::move(hops),
        words_,
        &Wordings::question_document);
  }

  DocumentGroup ripple_group() {
    DocumentGroup group(false);
    if (options_.ripple) {
      add_chains(group, "ripple", plan_.ripple_chains, 1.0, 1.4);
    }
    return group;
  }

  DocumentGroup echo_group() {
    DocumentGroup group(true);
    if (options_.echo && echo_ && !echo_->empty()) {
      group.add_maker(
          "echo", 1, [echo = echo_, deck = Deck(echo_->size())](Random& random) mutable {
            return (*echo)[deck.draw(random)];
          });
    }
    return group;
  }

  void add_chains(
      DocumentGroup& group,
      const std::string& name,
      const std::vector<Chain>& chains,
      double in_steps,
      double direct) {
    const GroupedDeck deck = chain_deck(chains, changing_);
    if (deck.empty()) {
      return;
    }
    const auto maker = [&](bool steps) {
      return [deck = deck, &chains, &words = words_, steps](Random& random) mutable {
        return words.chain_document(chains[deck.draw(random)], steps, random);
      };
    };
    group.add_maker(name + ".reasoning", in_steps, maker(true));
    group.add_maker(name + ".question", direct, maker(false));
  }

  /// Past years of edited slots half of the time: they are what an edit endangers.
  void add_dated(DocumentGroup& group) {
    std::vector<std::size_t> edited;
    std::vector<std::size_t> others;
    for (std::size_t i = 0; i < plan_.history.size(); ++i) {
      if (plan_.history[i].trained) {
        (plan_.history[i].edited ? edited : others).push_back(i);
      }
    }
    GroupedDeck deck;
    deck.add(1, std::move(edited));
    deck.add(1, std::move(others));
    if (deck.empty()) {
      return;
    }
    const std::vector<HistoryItem>& items = plan_.history;
    group.add_maker(
        "dated.statement", 0.35, [deck = deck, &items, &words = words_](Random& random) mutable {
          const HistoryItem& item = items[deck.draw(random)];
          return words.dated_statement_document(item.fact, item.year, random);
        });
    group.add_maker(
        "dated.question", 0.8, [deck = deck, &items, &words = words_](Random& random) mutable {
          const HistoryItem& item = items[deck.draw(random)];
          return words.dated_question_document(item.fact, item.year, random);
        });
  }

  HopList with_step(const HopList& hops) const {
    return filter(hops, [&](const Hop& hop) { return words_.has_step(hop.relation); });
  }

  static bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  const EditPlan& plan_;
  const Wordings& words_;
  AugmentOptions options_;
  SharedDocuments echo_;
  HopList slots_;
  std::map<std::string, std::size_t> edit_counts_;
  std::set<std::string> edited_subjects_;
  std::set<std::string> changing_;
};

void check_ratios(const AugmentOptions& options) {
  ERRATA_CHECK(
      options.rehearsal_ratio >= 0 && options.ripple_ratio >= 0 && options.echo_ratio >= 0,
      ErrorCode::kInvalidArgument,
      "rehearsal ratio ",
      options.rehearsal_ratio,
      ", ripple ratio ",
      options.ripple_ratio,
      ", echo ratio ",
      options.echo_ratio,
      "; expected numbers from 0");
}

} // namespace

std::unique_ptr<DocumentStream> edit_documents(
    const EditPlan& plan,
    const Wordings& wordings,
    const AugmentOptions& options,
    std::uint64_t seed,
    SharedDocuments echo) {
  check_ratios(options);
  ERRATA_CHECK(
      plan.size() > 0,
      ErrorCode::kInvalidArgument,
      "the plan has no edit to train on; expected at least one changed fact with a new value");
  return EditMixture(plan, wordings, options, std::move(echo)).build(seed);
}

std::unique_ptr<DocumentStream> rehearsal_documents(
    const EditPlan& plan,
    const Wordings& wordings,
    const AugmentOptions& options,
    std::uint64_t seed,
    SharedDocuments echo) {
  AugmentOptions rehearsed = options;
  rehearsed.rehearsal = true;
  return EditMixture(plan, wordings, rehearsed, std::move(echo)).build_rehearsal(seed);
}

} // namespace errata::editing
