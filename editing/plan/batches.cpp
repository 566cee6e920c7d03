#include "editing/plan/batches.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>
#include <utility>

namespace errata::editing {
namespace {

constexpr std::int64_t kFewestSteps = 50;

// First days of the periods after `from` and before `to`, then `to`.
std::vector<Date> batch_ends(const Date& from, const Date& to, std::string_view period) {
  ERRATA_CHECK(
      period == "monthly" || period == "yearly" || period == "once",
      ErrorCode::kInvalidArgument,
      "--batches '",
      std::string(period),
      "'; expected once, yearly or monthly");
  std::vector<Date> ends;
  const int months = period == "monthly" ? 1 : 12;
  Date end{from.year, period == "monthly" ? from.month : 1, 1};
  while (period != "once") {
    end.month += months;
    if (end.month > 12) {
      end.month -= 12;
      ++end.year;
    }
    if (!(end < to)) {
      break;
    }
    ends.push_back(end);
  }
  ends.push_back(to);
  return ends;
}

} // namespace

std::vector<BatchSpan> batch_spans(
    const Knowledge& knowledge, const Date& from, const Date& to, std::string_view period) {
  std::vector<BatchSpan> spans;
  World before(knowledge, from);
  for (const Date& end : batch_ends(from, to, period)) {
    World after(knowledge, end);
    const std::vector<datasets::Edit> edits = difference(before, after);
    const auto count = std::count_if(edits.begin(), edits.end(), [](const datasets::Edit& edit) {
      return edit.new_object.has_value();
    });
    if (count > 0) {
      spans.push_back({before.day(), end, static_cast<std::size_t>(count)});
      before = std::move(after);
    }
  }
  ERRATA_CHECK(
      !spans.empty(),
      ErrorCode::kInvalidArgument,
      "nothing new between ",
      to_string(from),
      " and ",
      to_string(to),
      "; expected at least one edit; choose other days or add facts to the store");
  return spans;
}

EditPlan batch_plan(
    const Knowledge& knowledge,
    const BatchSpan& span,
    std::vector<datasets::Edit> edits,
    const Date& since,
    PlanOptions options) {
  options.since = since;
  return make_edit_plan(knowledge, span.from, span.to, std::move(edits), options);
}

void drop_passing_changes(
    EditPlan& whole, const Knowledge& knowledge, const std::vector<BatchSpan>& spans) {
  std::unordered_set<std::string> touched;
  for (const BatchSpan& span : spans) {
    for (const datasets::Edit& edit :
         difference(World(knowledge, span.from), World(knowledge, span.to))) {
      for (const auto& object : {edit.old_object, edit.new_object}) {
        if (object) {
          touched.insert(fact_identity(knowledge, {edit.subject, edit.relation, *object}));
        }
      }
    }
  }
  for (std::vector<KeptFact>* facts : {&whole.kept, &whole.kept_inverse}) {
    std::erase_if(*facts, [&](const KeptFact& kept) {
      return touched.contains(fact_identity(knowledge, kept.fact));
    });
  }
}

std::int64_t batch_steps(
    const BatchSpan& span, const std::vector<BatchSpan>& spans, std::int64_t steps) {
  std::size_t all = 0;
  for (const BatchSpan& each : spans) {
    all += each.edits;
  }
  const double share = static_cast<double>(span.edits) / static_cast<double>(all);
  const auto part = static_cast<std::int64_t>(std::llround(share * static_cast<double>(steps)));
  return std::max(std::min(kFewestSteps, steps), part);
}

} // namespace errata::editing
