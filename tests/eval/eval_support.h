#pragma once

#include "eval/results.h"

#include <string>
#include <utility>
#include <vector>

namespace errata::eval::eval_testing {

/// Tasks and answers put together by hand.
struct Script {
  Evaluation evaluation;

  /// A task answered `before` and `after`; both models stop by themselves.
  Task& add(
      Part part, const std::string& item, const std::string& before, const std::string& after) {
    Task task;
    task.part = part;
    task.item = item;
    task.cluster = item;
    task.answers = {"new"};
    task.stale = {"old"};
    task.prompt = "Question: " + item + "?\nAnswer:";
    task.id = std::string(to_string(part)) + "/" + std::to_string(evaluation.tasks.size());
    evaluation.tasks.push_back(std::move(task));
    evaluation.before.push_back({before, Ending::kEos, {}});
    evaluation.after.push_back({after, Ending::kEos, {}});
    return evaluation.tasks.back();
  }

  /// One wording of a multi-hop case in steps.
  Task& add_case(
      const std::string& item, int wording, const std::string& before, const std::string& after) {
    Task& task = add(Part::kCase, item, "Step.\nAnswer: " + before, "Step.\nAnswer: " + after);
    task.mode = Mode::kReasoning;
    task.wording = wording;
    task.changed = true;
    task.chain = {{"start", "to", "middle"}, {"middle", "to", "new"}};
    return task;
  }

  Evaluation& judged() {
    evaluation.before_verdicts = judge(evaluation.tasks, evaluation.before, evaluation.protocol);
    evaluation.after_verdicts = judge(evaluation.tasks, evaluation.after, evaluation.protocol);
    return evaluation;
  }

  std::vector<Metric> before() {
    judged();
    return measure(
        evaluation.tasks,
        evaluation.before,
        evaluation.before_verdicts,
        evaluation.before_verdicts);
  }
  std::vector<Metric> after() {
    judged();
    return measure(
        evaluation.tasks, evaluation.after, evaluation.after_verdicts, evaluation.before_verdicts);
  }
};

/// Right and all of a metric: {sum of values, number of observations}; {-1, 0} without the metric.
inline std::pair<double, std::size_t> tally(
    const std::vector<Metric>& metrics, const std::string& path) {
  const Metric* metric = find_metric(metrics, path);
  if (metric == nullptr) {
    return {-1, 0};
  }
  double sum = 0;
  for (const Observation& observation : metric->observations) {
    sum += observation.value;
  }
  return {sum, metric->observations.size()};
}

} // namespace errata::eval::eval_testing
