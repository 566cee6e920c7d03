#include "editing/plan/edit_documents.h"

#include "core/base/error.h"
#include "editing/plan/mixture.h"

#include <algorithm>
#include <set>
#include <utility>

namespace errata::editing {

using datasets::ExplicitEdit;
using datasets::Hop;

namespace {

using HopList = std::vector<const Hop*>;
using HopWriter = Document (Wordings::*)(const Hop&, Random&) const;

HopList pointers(const std::vector<Hop>& hops) {
  HopList list;
  for (const Hop& hop : hops) {
    list.push_back(&hop);
  }
  return list;
}

template <typename Keep>
HopList filter(const HopList& hops, const Keep& keep) {
  HopList list;
  std::copy_if(hops.begin(), hops.end(), std::back_inserter(list), [&](const Hop* hop) {
    return keep(*hop);
  });
  return list;
}

GroupedDeck even_deck(std::size_t count) {
  std::vector<std::size_t> all(count);
  for (std::size_t i = 0; i < count; ++i) {
    all[i] = i;
  }
  GroupedDeck deck;
  deck.add(1, std::move(all));
  return deck;
}

/// Facts of the edited relations, a relation as often as it is edited.
GroupedDeck near_deck(const HopList& hops, const std::map<std::string, std::size_t>& edits) {
  GroupedDeck deck;
  for (const auto& [relation, count] : edits) {
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < hops.size(); ++i) {
      if (base_relation(hops[i]->relation) == relation) {
        members.push_back(i);
      }
    }
    deck.add(static_cast<double>(count), std::move(members));
  }
  return deck;
}

/// Document kinds whose weights are scaled together.
class Group {
 public:
  explicit Group(bool rehearsal) : rehearsal_(rehearsal) {}

  void add(
      std::string name,
      double weight,
      GroupedDeck deck,
      HopList hops,
      const Wordings& words,
      HopWriter write) {
    if (deck.empty()) {
      return;
    }
    add_maker(
        std::move(name),
        weight,
        [deck = std::move(deck), hops = std::move(hops), &words, write](Random& random) mutable {
          return (words.*write)(*hops[deck.draw(random)], random);
        });
  }

  void add_maker(std::string name, double weight, Mixture::Maker make) {
    kinds_.push_back({std::move(name), weight, std::move(make)});
    total_ += weight;
  }

  double total() const noexcept { return total_; }

  /// Adds the kinds to the mixture so that their weights sum to `total`.
  void pour(Mixture& mixture, double total) {
    for (Kind& kind : kinds_) {
      mixture.add(
          std::move(kind.name), kind.weight * total / total_, rehearsal_, std::move(kind.make));
    }
    kinds_.clear();
  }

 private:
  struct Kind {
    std::string name;
    double weight;
    Mixture::Maker make;
  };
  bool rehearsal_;
  std::vector<Kind> kinds_;
  double total_ = 0;
};

// The weights below are those of the lab recipe (docs/editing-data.md).

class EditMixture {
 public:
  EditMixture(const EditPlan& plan, const Wordings& words, const AugmentOptions& options)
      : plan_(plan), words_(words), options_(options) {
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
    Group edits = edit_group();
    const double scale = edits.total();
    edits.pour(*mixture, scale);
    rehearsal_group().pour(*mixture, scale * options_.rehearsal_ratio);
    ripple_group().pour(*mixture, scale * options_.ripple_ratio);
    return mixture;
  }

  std::unique_ptr<DocumentStream> build_rehearsal(std::uint64_t seed) {
    auto mixture = std::make_unique<Mixture>(seed);
    rehearsal_group().pour(*mixture, 1);
    ERRATA_CHECK(
        !mixture->empty(),
        ErrorCode::kInvalidArgument,
        "nothing to rehearse; expected unchanged facts in the store and a rehearsal share above 0");
    return mixture;
  }

 private:
  void add_facts(
      Group& group,
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

  Group edit_group() {
    Group group(false);
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
  void add_own_prompts(Group& group) {
    auto examples = std::make_shared<const std::vector<Document>>(edit_examples(plan_, words_));
    group.add_maker(
        "edit.prompt", 2, [examples, deck = Deck(examples->size())](Random& random) mutable {
          return (*examples)[deck.draw(random)];
        });
  }

  Group rehearsal_group() {
    Group group(true);
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

  void add_rehearsal(Group& group) {
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
    add_chains(group, "rehearsal.chain", plan_.rehearsal_chains, 1.3, 0.4);
  }

  void add_near(Group& group) {
    const HopList facts = pointers(plan_.rehearsed);
    const HopList inverse = pointers(plan_.rehearsed_inverse);
    const HopList sayable = with_step(facts);
    group.add(
        "near.question",
        1.2,
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
        0.4,
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

  void add_near_questions(Group& group, std::string name, double weight, HopList hops) {
    GroupedDeck deck = even_deck(hops.size());
    group.add(
        std::move(name),
        weight,
        std::move(deck),
        std::move(hops),
        words_,
        &Wordings::question_document);
  }

  Group ripple_group() {
    Group group(false);
    if (options_.ripple) {
      add_chains(group, "ripple", plan_.ripple_chains, 1.0, 0.4);
    }
    return group;
  }

  void add_chains(
      Group& group,
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
  void add_dated(Group& group) {
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
        "dated.statement", 0.3, [deck = deck, &items, &words = words_](Random& random) mutable {
          const HistoryItem& item = items[deck.draw(random)];
          return words.dated_statement_document(item.fact, item.year, random);
        });
    group.add_maker(
        "dated.question", 0.7, [deck = deck, &items, &words = words_](Random& random) mutable {
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
  HopList slots_;
  std::map<std::string, std::size_t> edit_counts_;
  std::set<std::string> edited_subjects_;
  std::set<std::string> changing_;
};

/// The completion that follows a prompt written by somebody else: a space between them, once.
Document explicit_document(const ExplicitEdit& edit) {
  const bool spaced = edit.prompt.empty() || edit.prompt.back() == ' ' ||
                      edit.prompt.back() == '\n' || edit.target_new.front() == ' ';
  return {edit.prompt, (spaced ? "" : " ") + edit.target_new, "edit.prompt", false};
}

void check_ratios(const AugmentOptions& options) {
  ERRATA_CHECK(
      options.rehearsal_ratio >= 0 && options.ripple_ratio >= 0,
      ErrorCode::kInvalidArgument,
      "rehearsal ratio ",
      options.rehearsal_ratio,
      ", ripple ratio ",
      options.ripple_ratio,
      "; expected numbers from 0");
}

} // namespace

std::vector<Document> edit_examples(const EditPlan& plan, const Wordings& wordings) {
  std::vector<Document> documents;
  for (const EditedSlot& slot : plan.slots) {
    const std::vector<std::string> questions =
        wordings.training_questions(slot.fact.subject, slot.fact.relation);
    documents.push_back(
        {direct_prompt(questions.front()), " " + slot.fact.object, "edit.prompt", false});
  }
  for (const ExplicitEdit& edit : plan.explicit_edits) {
    documents.push_back(explicit_document(edit));
  }
  return documents;
}

std::unique_ptr<DocumentStream> edit_documents(
    const EditPlan& plan,
    const Wordings& wordings,
    const AugmentOptions& options,
    std::uint64_t seed) {
  check_ratios(options);
  ERRATA_CHECK(
      plan.size() > 0,
      ErrorCode::kInvalidArgument,
      "the plan has no edit to train on; expected at least one changed fact with a new value");
  return EditMixture(plan, wordings, options).build(seed);
}

std::unique_ptr<DocumentStream> rehearsal_documents(
    const EditPlan& plan,
    const Wordings& wordings,
    const AugmentOptions& options,
    std::uint64_t seed) {
  AugmentOptions rehearsed = options;
  rehearsed.rehearsal = true;
  return EditMixture(plan, wordings, rehearsed).build_rehearsal(seed);
}

} // namespace errata::editing
