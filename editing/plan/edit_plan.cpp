#include "editing/plan/edit_plan.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "editing/plan/leading_relations.h"
#include "editing/plan/peer_data.h"
#include "editing/plan/plan_cases.h"
#include "editing/plan/wordings.h"
#include "editing/store/edit_store.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace errata::editing {

using datasets::Edit;
using datasets::EditKind;
using datasets::Hop;

namespace {

/// Relations with fewer of the edited slots than one in this many are not "the edited relation":
/// one new capital does not make all capitals near the edits.
constexpr std::size_t kNearOneIn = 50;

std::string slot_key(const Hop& hop) {
  return concat(hop.relation, '|', hop.subject);
}

class Planner {
 public:
  Planner(const Knowledge& knowledge, const Date& from, const Date& to, const PlanOptions& options)
      : knowledge_(knowledge),
        before_(knowledge, from),
        after_(knowledge, to),
        since_(knowledge, options.since.value_or(from)) {
    plan_.from = from;
    plan_.to = to;
    plan_.options = options;
    plan_.options.chains.without.merge(evaluated_chains(knowledge));
  }

  EditPlan run(std::vector<Edit> edits) {
    plan_.edits = std::move(edits);
    plan_slots();
    plan_injected();
    plan_unchanged();
    plan_chains();
    plan_cases_and_history();
    return std::move(plan_);
  }

 private:
  enum class Side { kFresh, kRehearsed, kKept, kNeither };

  /// Remembers that this fact is not what it was, in whatever form it is met.
  void mark_changed(const Hop& hop) { changed_.insert(fact_identity(knowledge_, hop)); }

  bool rehearsed_by_hash(const std::string& identity) const {
    constexpr double kScale = 18446744073709551616.0; // 2^64
    const std::string key = concat("rehearsal|", plan_.options.fold, '|', identity);
    return static_cast<double>(stable_hash(key)) < plan_.options.rehearsal_share * kScale;
  }

  /// Whether an earlier batch of the sequence has written this fact.
  bool written_earlier(const Hop& hop) const {
    return is_inverse(hop.relation)
               ? !holds(since_, {hop.object, std::string(base_relation(hop.relation)), hop.subject})
               : !holds(since_, hop);
  }

  /// The side on which a fact of the second day stands. `same` tells whether it held before.
  Side side(const Hop& hop, bool same) const {
    if (fresh_.contains(slot_key(hop))) {
      return Side::kFresh;
    }
    const std::string identity = fact_identity(knowledge_, hop);
    if (!same || changed_.contains(identity)) {
      return Side::kNeither;
    }
    return rehearsed_by_hash(identity) || written_earlier(hop) ? Side::kRehearsed : Side::kKept;
  }

  Side side(const Hop& hop) const {
    return side(hop, before_.step(hop.subject, hop.relation) == hop.object);
  }

  void plan_slots() {
    const std::set<std::string> leading = leading_relations(plan_.edits);
    std::map<std::string, std::size_t> count;
    for (const Edit& edit : plan_.edits) {
      if (edit.old_object) {
        mark_changed({edit.subject, edit.relation, *edit.old_object});
      }
      if (edit.new_object) {
        mark_changed({edit.subject, edit.relation, *edit.new_object});
      }
      if (leading.contains(edit.relation)) {
        edited_subjects_.insert(edit.subject);
        if (edit.new_object) {
          ++count[edit.relation];
          add_slot(edit);
        }
      }
    }
    for (const auto& [relation, slots] : count) {
      if (slots * kNearOneIn >= plan_.slots.size()) {
        plan_.edited_relations.push_back(relation);
      }
    }
  }

  void add_slot(const Edit& edit) {
    EditedSlot slot;
    slot.fact = {edit.subject, edit.relation, *edit.new_object};
    slot.old_object = edit.old_object.value_or("");
    slot.edit_id = edit.id;
    const std::vector<std::string> now = after_.answers(slot.fact);
    if (edit.old_object) {
      const std::vector<std::string> then =
          before_.answers({edit.subject, edit.relation, *edit.old_object});
      slot.answers = without_shared(now, then, plan_.shared_aliases);
      slot.old_answers = without_shared(then, now, plan_.shared_aliases);
    } else {
      slot.answers = now;
    }
    fresh_.insert(slot_key(slot.fact));
    plan_.slots.push_back(std::move(slot));
  }

  void plan_injected() {
    std::set<std::string> related;
    for (Hop& hop : after_.single_facts()) {
      if (fresh_.contains(slot_key(hop)) || holds(before_, hop)) {
        continue;
      }
      mark_changed(hop);
      related.insert(hop.relation);
      plan_.injected.push_back(std::move(hop));
    }
    for (const Hop& hop : plan_.injected) {
      fresh_.insert(slot_key(hop));
    }
    plan_.related_relations.assign(related.begin(), related.end());
    for (Hop& hop : after_.inverse_facts()) {
      if (before_.step(hop.subject, hop.relation) == hop.object) {
        continue;
      }
      // A look-up that only became unique (its fact is an old one) is no news to be trained.
      if (changed_.contains(fact_identity(knowledge_, hop))) {
        fresh_.insert(slot_key(hop));
        plan_.injected_inverse.push_back(std::move(hop));
      }
    }
  }

  static bool holds(const World& world, const Hop& hop) {
    const auto& values = world.values(hop.subject, hop.relation);
    return std::any_of(values.begin(), values.end(), [&](const datasets::Fact* fact) {
      return fact->object == hop.object;
    });
  }

  LocalityKind kind_of(const Hop& hop) const {
    const std::string relation(base_relation(hop.relation));
    const std::string& subject = is_inverse(hop.relation) ? hop.object : hop.subject;
    const auto among = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), relation) != names.end();
    };
    return among(plan_.edited_relations)        ? LocalityKind::kSameRelation
           : among(plan_.related_relations)     ? LocalityKind::kRelated
           : edited_subjects_.contains(subject) ? LocalityKind::kSameSubject
                                                : LocalityKind::kOther;
  }

  void sort_out(
      const Hop& hop, bool same, std::vector<Hop>& rehearsed, std::vector<KeptFact>& kept) {
    const Side where = side(hop, same);
    if (where == Side::kRehearsed) {
      rehearsed.push_back(hop);
    } else if (where == Side::kKept) {
      kept.push_back({hop, kind_of(hop), after_.answers(hop)});
    }
  }

  void plan_unchanged() {
    for (const Hop& hop : before_.single_facts()) {
      const auto& now = after_.values(hop.subject, hop.relation);
      const bool same = now.size() == 1 && now.front()->object == hop.object;
      sort_out(hop, same, plan_.rehearsed, plan_.kept);
    }
    for (const Hop& hop : before_.inverse_facts()) {
      const bool same = after_.step(hop.subject, hop.relation) == hop.object;
      sort_out(hop, same, plan_.rehearsed_inverse, plan_.kept_inverse);
    }
  }

  void plan_chains() {
    ChainOptions options = plan_.options.chains;
    options.development_share = plan_.options.development_share;
    for (Chain& chain : after_.chains(options)) {
      bool fresh = false;
      bool clean = true;
      for (const Hop& hop : chain) {
        const Side where = side(hop);
        fresh = fresh || where == Side::kFresh;
        clean = clean && (where == Side::kFresh || where == Side::kRehearsed);
      }
      if (clean) {
        (fresh ? plan_.ripple_chains : plan_.rehearsal_chains).push_back(std::move(chain));
      }
    }
  }

  void plan_cases_and_history() {
    PlannedCases planned = plan_cases(before_, after_);
    plan_.cases = std::move(planned.cases);
    plan_.dropped_cases = planned.dropped;
    plan_.shared_aliases += planned.shared_aliases;
    plan_.development_cases = development_cases(
        before_,
        after_,
        Wordings(knowledge_),
        plan_.options.chains,
        plan_.options.development_share);
    plan_.history = history_items(knowledge_, since_.day(), plan_.options.history);
    for (HistoryItem& item : plan_.history) {
      Hop slot = item.fact;
      item.edited = fresh_.contains(slot_key(slot));
      // All years of a slot fall on the side of the value it has before the edit: a former holder
      // says something about the present one.
      const auto& now = since_.values(slot.subject, slot.relation);
      if (!now.empty()) {
        slot.object = now.front()->object;
      }
      item.trained = rehearsed_by_hash(fact_identity(knowledge_, slot));
    }
  }

  const Knowledge& knowledge_;
  World before_;
  World after_;
  World since_; ///< of the first day of a sequence of batches
  EditPlan plan_;
  std::unordered_set<std::string> changed_;
  std::unordered_set<std::string> fresh_;
  std::unordered_set<std::string> edited_subjects_;
};

} // namespace

std::string_view to_string(LocalityKind kind) noexcept {
  switch (kind) {
    case LocalityKind::kSameRelation:
      return "same_relation";
    case LocalityKind::kSameSubject:
      return "same_subject";
    case LocalityKind::kRelated:
      return "related";
    case LocalityKind::kOther:
      return "other";
  }
  return "other";
}

std::size_t EditPlan::size() const noexcept {
  return slots.size() + injected.size() + explicit_edits.size();
}

EditPlan make_edit_plan(
    const Knowledge& knowledge,
    const Date& from,
    const Date& to,
    std::vector<Edit> edits,
    const PlanOptions& options) {
  ERRATA_CHECK(
      from <= to,
      ErrorCode::kInvalidArgument,
      "edits from ",
      to_string(from),
      " to ",
      to_string(to),
      " run backwards; expected the earlier day first");
  ERRATA_CHECK(
      options.rehearsal_share >= 0 && options.rehearsal_share <= 1,
      ErrorCode::kInvalidArgument,
      "rehearsal share ",
      options.rehearsal_share,
      "; expected 0 to 1");
  ERRATA_CHECK(
      !edits.empty(),
      ErrorCode::kInvalidArgument,
      "nothing differs between ",
      to_string(from),
      " and ",
      to_string(to),
      "; expected at least one edit; choose other days or add facts to the store");
  return Planner(knowledge, from, to, options).run(std::move(edits));
}

EditPlan make_edit_plan(
    std::vector<datasets::ExplicitEdit> edits, std::vector<datasets::MultiHopCase> cases) {
  ERRATA_CHECK(
      !edits.empty(),
      ErrorCode::kInvalidArgument,
      "no edits given; expected at least one line with prompt and target_new");
  EditPlan plan;
  std::unordered_set<std::string> ids;
  for (const datasets::ExplicitEdit& edit : edits) {
    ids.insert(edit.id);
  }
  plan.explicit_edits = std::move(edits);
  for (datasets::MultiHopCase& item : cases) {
    const bool complete =
        std::all_of(item.edit_ids.begin(), item.edit_ids.end(), [&](const std::string& id) {
          return ids.contains(id);
        });
    if (complete && !item.new_answer.empty()) {
      plan.cases.push_back(std::move(item));
    } else {
      ++plan.dropped_cases;
    }
  }
  return plan;
}

std::string set_edit_id(std::string_view set, std::string_view id) {
  return concat(set, '/', id);
}

EditPlan make_set_plan(
    const EditStore& store, std::string_view set, const std::vector<std::string>& without) {
  require_set(store, set);
  std::vector<datasets::ExplicitEdit> edits = store.explicit_edits(set);
  for (const std::string& left_out : without) {
    const auto removed = std::erase_if(edits, [&](const datasets::ExplicitEdit& edit) {
      return set_edit_id(set, edit.id) == left_out;
    });
    ERRATA_CHECK(
        removed > 0,
        ErrorCode::kInvalidArgument,
        "set '",
        set,
        "' has no edit '",
        left_out,
        "' to leave out; expected an id like ",
        edits.empty() ? "set/0" : set_edit_id(set, edits.front().id));
  }
  ERRATA_CHECK(
      !edits.empty(),
      ErrorCode::kInvalidArgument,
      "set '",
      set,
      "' has no edits; expected a set made by importing edits (mquake, counterfact, zsre, edits)");
  return make_edit_plan(std::move(edits), store.multi_hop(set));
}

} // namespace errata::editing
