#pragma once

#include "eval/outputs.h"
#include "eval/statistics.h"

#include <string>
#include <vector>

namespace errata::eval {

/// One number of `metrics.before` or `metrics.after` before it is a number: what was observed.
struct Metric {
  std::string path;        ///< place in the results: "multihop.changed.cot"
  std::string scorer;      ///< em, tf_exact, tf_tokens, same
  std::string prompt_form; ///< question, wording, statement, multihop
  std::string mode;        ///< direct or cot
  std::string aggregation; ///< mean_case, any3, all3, mean3, all_hops, mean_edit
  /// Compared before against after by McNemar's test.
  bool main = false;
  std::vector<Observation> observations;
};

/// Everything that can be said about one model's answers (docs/metrics.md), in the order in which
/// results list it. `base` are the verdicts of the untouched base on the same tasks (the same list
/// for the base itself): locality is measured against them. `outputs` carry teacher-forced scores.
std::vector<Metric> measure(
    const std::vector<Task>& tasks,
    const std::vector<Output>& outputs,
    const std::vector<Verdict>& verdicts,
    const std::vector<Verdict>& base);

/// The metric at `path`, or null.
const Metric* find_metric(const std::vector<Metric>& metrics, const std::string& path);

} // namespace errata::eval
