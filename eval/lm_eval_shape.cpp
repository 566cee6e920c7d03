#include "eval/lm_eval_shape.h"

#include "core/base/json.h"
#include "core/version.h"
#include "eval/normalise.h"

#include <cmath>
#include <map>

namespace errata::eval {
namespace {

// Sample formula of the standard error, as lm-eval gives it for means.
OrderedJson standard_error(const std::vector<Observation>& observations, double mean) {
  if (observations.size() < 2) {
    return "N/A";
  }
  double squares = 0;
  for (const Observation& observation : observations) {
    squares += (observation.value - mean) * (observation.value - mean);
  }
  const auto n = static_cast<double>(observations.size());
  return std::sqrt(squares / (n - 1) / n);
}

// "stale" rates fall when things go well.
bool higher_is_better(const std::string& name) {
  return name.rfind("stale", 0) != 0;
}

} // namespace

std::string comparable_group(const Metric& metric, const Protocol& protocol) {
  const bool free = metric.scorer == "em" || metric.scorer == "same";
  return free ? concat(
                    "autoregressive.",
                    metric.scorer,
                    '.',
                    kNormalisation,
                    '.',
                    to_string(protocol.stop),
                    '.',
                    metric.mode)
              : concat("teacher-forced.", metric.scorer);
}

void add_lm_eval_fields(
    OrderedJson& results, const Evaluation& evaluation, const std::vector<Metric>& metrics) {
  std::map<std::string, std::size_t> sizes;
  for (const Task& task : evaluation.tasks) {
    ++sizes["errata_" + std::string(to_string(suite_of(task.part)))];
  }
  OrderedJson tasks = OrderedJson::object();
  OrderedJson better = OrderedJson::object();
  for (const auto& [name, size] : sizes) {
    tasks[name] = {{"name", name}, {"alias", name}, {"sample_len", size}};
    results["group_subtasks"][name] = OrderedJson::array();
    results["configs"][name] = {{"task", name}, {"output_type", "generate_until"}};
    results["versions"][name] = 1.0;
    results["n-shot"][name] = 0;
    results["n-samples"][name] = {{"original", size}, {"effective", size}};
  }
  for (const Metric& metric : metrics) {
    if (metric.observations.empty()) {
      continue;
    }
    const std::size_t dot = metric.path.find('.');
    const std::string task = "errata_" + metric.path.substr(0, dot);
    const std::string name = metric.path.substr(dot + 1);
    double sum = 0;
    for (const Observation& observation : metric.observations) {
      sum += observation.value;
    }
    const double mean = sum / static_cast<double>(metric.observations.size());
    tasks[task][name + ",none"] = mean;
    tasks[task][name + "_stderr,none"] = standard_error(metric.observations, mean);
    better[task][name] = higher_is_better(name);
  }
  results["results"] = std::move(tasks);
  results["higher_is_better"] = std::move(better);
  results["config"] = {
      {"model", "errata"},
      {"bootstrap_iters", evaluation.bootstrap.resamples},
      {"random_seed", evaluation.bootstrap.seed}};
  results["git_hash"] = build_info().commit;
  results["model_source"] = "errata";
}

} // namespace errata::eval
