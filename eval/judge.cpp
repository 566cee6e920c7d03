#include "core/base/error.h"
#include "eval/normalise.h"
#include "eval/outputs.h"

#include <algorithm>

namespace errata::eval {
namespace {

// Whether the steps name every entity that the chain goes through. Aliases of entities in between
// are not known here: a step that uses one counts as not named.
bool names_chain(const Task& task, const std::string& text) {
  return !task.chain.empty() &&
         std::all_of(task.chain.begin(), task.chain.end() - 1, [&](const datasets::Hop& hop) {
           return contains_answer(text, {hop.object});
         });
}

} // namespace

Verdict judge(const Task& task, const Output& output, const Protocol& protocol) {
  Verdict verdict;
  verdict.contains = contains_answer(output.text, task.answers);
  if (output.ending == Ending::kLength && protocol.stop == StopRule::kEos) {
    return verdict;
  }
  verdict.answer = extract_answer(output.text, task.mode);
  if (!verdict.answer) {
    return verdict;
  }
  verdict.right = matches(*verdict.answer, task.answers);
  verdict.exact = matches_exactly(*verdict.answer, task.answers);
  verdict.stale = !verdict.right && matches(*verdict.answer, task.stale);
  verdict.hops_right =
      verdict.right && task.mode == Mode::kReasoning && names_chain(task, output.text);
  return verdict;
}

std::vector<Verdict> judge(
    const std::vector<Task>& tasks, const std::vector<Output>& outputs, const Protocol& protocol) {
  ERRATA_CHECK(
      tasks.size() == outputs.size(),
      ErrorCode::kInternal,
      tasks.size(),
      " tasks and ",
      outputs.size(),
      " outputs");
  std::vector<Verdict> verdicts;
  verdicts.reserve(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    verdicts.push_back(judge(tasks[i], outputs[i], protocol));
  }
  return verdicts;
}

bool same_answer(const Verdict& before, const Verdict& after) {
  return before.answer && after.answer && normalise(*before.answer) == normalise(*after.answer);
}

} // namespace errata::eval
