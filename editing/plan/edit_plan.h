#pragma once

#include "editing/plan/document.h"
#include "editing/plan/history.h"
#include "editing/plan/knowledge.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace errata::editing {

struct PlanOptions {
  /// Share of the unchanged facts that rehearsal may use; locality is measured on the others.
  double rehearsal_share = 0.8;
  /// Salt of that split: another fold keeps other facts out.
  std::uint64_t fold = 0;
  /// First day of the sequence of batches that the plan is one of. What did not hold then was
  /// written by an earlier batch: it is rehearsed whatever its split says. History is that of this
  /// day. Without one the plan stands alone.
  std::optional<Date> since;
  HistoryOptions history;
  ChainOptions chains;
  /// Share of the chains kept out of training for tuning (`is_development_chain`).
  double development_share = kDevelopmentShare;
};

/// A slot with another value at the second day. Reliability asks for the new one.
struct EditedSlot {
  datasets::Hop fact; ///< with the new value
  std::string old_object;
  std::string edit_id;
  std::vector<std::string> answers; ///< new value and aliases, none of them an old one
  std::vector<std::string> old_answers;
};

/// How near an unchanged fact lies to the edits.
enum class LocalityKind {
  kSameRelation, ///< a relation that the edits change, another subject
  kSameSubject,  ///< another relation of an edited subject
  kRelated,      ///< a relation of the facts that the edits bring along (a holder's own facts)
  kOther,
};

std::string_view to_string(LocalityKind kind) noexcept;

/// An unchanged fact that no edit document uses.
struct KeptFact {
  datasets::Hop fact;
  LocalityKind kind = LocalityKind::kOther;
  std::vector<std::string> answers;
};

/// What a batch of edits trains on and what it is judged by. Every list is in a fixed order. The
/// two sides are disjoint: no fact of `kept` or `kept_inverse` (in any form) and no chain of
/// `cases` or `development_cases` occurs in the training lists.
struct EditPlan {
  Date from;
  Date to;
  PlanOptions options;
  std::vector<datasets::Edit> edits; ///< the whole difference of the two days

  // Trained on.
  std::vector<EditedSlot> slots;       ///< changed slots that have a value at the end
  std::vector<datasets::Hop> injected; ///< facts that came with them: new holders' own
  std::vector<datasets::Hop> injected_inverse;
  std::vector<datasets::Hop> rehearsed; ///< unchanged facts
  std::vector<datasets::Hop> rehearsed_inverse;
  std::vector<Chain> ripple_chains;           ///< through a changed hop, the others rehearsed
  std::vector<Chain> rehearsal_chains;        ///< all hops rehearsed
  std::vector<std::string> edited_relations;  ///< of the slots
  std::vector<std::string> related_relations; ///< of the injected facts

  // Judged by.
  std::vector<KeptFact> kept;
  std::vector<KeptFact> kept_inverse;
  std::vector<datasets::MultiHopCase> cases; ///< the store's, worked out for these two days
  /// Chains held out for tuning, with three questions each.
  std::vector<datasets::MultiHopCase> development_cases;
  /// Who held what in a past year. Items with `trained` are rehearsed in other wordings.
  std::vector<HistoryItem> history;

  /// Edits given outright; the lists above are empty then, but for `cases`.
  std::vector<datasets::ExplicitEdit> explicit_edits;

  /// Aliases dropped because the old and the new answer share them.
  std::size_t shared_aliases = 0;
  /// Cases without a chain on either day.
  std::size_t dropped_cases = 0;

  /// Number of edits a run applies: slots and injected facts, or the edits given outright.
  std::size_t size() const noexcept;
};

/// The plan for everything that differs between two days. `edits` is the store's difference of the
/// two days; `difference` works it out from the knowledge alone. Throws `kInvalidArgument` when
/// nothing differs or the days are out of order.
EditPlan make_edit_plan(
    const Knowledge& knowledge,
    const Date& from,
    const Date& to,
    std::vector<datasets::Edit> edits,
    const PlanOptions& options = {});

/// The edits that lead from one day's state to another's, ordered by relation and subject.
std::vector<datasets::Edit> difference(const World& before, const World& after);

/// The plan for edits given outright by their prompts, and the cases that they are judged by; a
/// case that needs another edit too is dropped.
EditPlan make_edit_plan(
    std::vector<datasets::ExplicitEdit> edits, std::vector<datasets::MultiHopCase> cases = {});

/// What a run record calls an edit of a set: `set/id`, as every data set counts from 0.
std::string set_edit_id(std::string_view set, std::string_view id);

/// The plan for a set of a store, but for the edits that `without` names (`set_edit_id`).
/// `kInvalidArgument` when there is no such set, no edit in it, or no edit of such a name.
EditPlan make_set_plan(
    const EditStore& store, std::string_view set, const std::vector<std::string>& without = {});

/// Counts by part, relation and locality kind as one JSON document.
std::string summary_json(const EditPlan& plan);

} // namespace errata::editing
