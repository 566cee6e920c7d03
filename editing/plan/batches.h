#pragma once

#include "editing/plan/edit_plan.h"
#include "editing/plan/knowledge.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// A difference of two days cut into batches that are written one after the other.

namespace errata::editing {

/// One batch: what changes between two days.
struct BatchSpan {
  Date from;
  Date to;
  std::size_t edits = 0; ///< changes that leave a value to be learnt
};

/// The batches from `from` to `to`: `period` is "monthly" (they end on first days of months),
/// "yearly" (of years) or "once"; another word is `kInvalidArgument`. Time in which nothing new
/// came belongs to the batch after it. The last batch ends at `to` unless nothing new came after
/// the one before; none at all is `kInvalidArgument`.
std::vector<BatchSpan> batch_spans(
    const Knowledge& knowledge, const Date& from, const Date& to, std::string_view period);

/// The plan of one batch, `edits` its difference, of a sequence that began at `since`. Facts of
/// earlier batches are rehearsed always: no locality is measured on them.
EditPlan batch_plan(
    const Knowledge& knowledge,
    const BatchSpan& span,
    std::vector<datasets::Edit> edits,
    const Date& since,
    PlanOptions options);

/// Takes the facts out of `whole.kept` and `kept_inverse` that some batch touches: they were
/// something else in between.
void drop_passing_changes(
    EditPlan& whole, const Knowledge& knowledge, const std::vector<BatchSpan>& spans);

/// Steps of a batch: its part of `steps` by edits, but enough to learn anything at all.
std::int64_t batch_steps(
    const BatchSpan& span, const std::vector<BatchSpan>& spans, std::int64_t steps);

} // namespace errata::editing
