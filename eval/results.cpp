#include "eval/results.h"

#include "core/base/date.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/version.h"
#include "eval/lm_eval_shape.h"
#include "eval/normalise.h"
#include "eval/report.h"

#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>

namespace errata::eval {
namespace {

// Six digits: more would only show how a mean was summed.
double rounded(double value) {
  return std::round(value * 1e6) / 1e6;
}

OrderedJson to_json(const std::optional<Figure>& figure) {
  if (!figure) {
    return nullptr;
  }
  OrderedJson json = {{"value", rounded(figure->value)}, {"n", figure->n}};
  if (figure->right) {
    json["right"] = *figure->right;
  }
  json["ci95"] = nullptr;
  if (figure->ci95) {
    json["ci95"] = {rounded(figure->ci95->low), rounded(figure->ci95->high)};
  }
  return json;
}

void put(OrderedJson& root, const std::string& path, OrderedJson value) {
  OrderedJson* place = &root;
  std::size_t at = 0;
  for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', at)) {
    place = &(*place)[path.substr(at, dot - at)];
    at = dot + 1;
  }
  (*place)[path.substr(at)] = std::move(value);
}

OrderedJson figures(const std::vector<Metric>& metrics, const BootstrapOptions& options) {
  OrderedJson json = OrderedJson::object();
  for (const Metric& metric : metrics) {
    put(json, metric.path, to_json(make_figure(metric.observations, options)));
  }
  return json;
}

// Observations of the same items, after minus before.
std::vector<Observation> differences(const Metric& before, const Metric& after) {
  std::unordered_map<std::string, double> values;
  for (const Observation& observation : before.observations) {
    values.emplace(observation.item, observation.value);
  }
  std::vector<Observation> result;
  for (const Observation& observation : after.observations) {
    const auto value = values.find(observation.item);
    if (value != values.end()) {
      result.push_back({observation.item, observation.cluster, observation.value - value->second});
    }
  }
  return result;
}

OrderedJson deltas(
    const std::vector<Metric>& before,
    const std::vector<Metric>& after,
    const BootstrapOptions& options) {
  OrderedJson json = OrderedJson::object();
  for (const Metric& metric : after) {
    const Metric* base = find_metric(before, metric.path);
    std::optional<Figure> figure;
    if (base != nullptr) {
      figure = make_figure(differences(*base, metric), options);
    }
    if (figure) {
      figure->right.reset(); // a difference counts nothing
    }
    put(json, metric.path, to_json(figure));
  }
  return json;
}

OrderedJson significance(const std::vector<Metric>& before, const std::vector<Metric>& after) {
  std::vector<std::pair<std::string, McNemar>> tests;
  std::vector<double> p_values;
  for (const Metric& metric : after) {
    const Metric* base = find_metric(before, metric.path);
    if (!metric.main || base == nullptr || metric.observations.empty()) {
      continue;
    }
    std::int64_t gained = 0;
    std::int64_t lost = 0;
    for (const Observation& change : differences(*base, metric)) {
      gained += change.value > 0 ? 1 : 0;
      lost += change.value < 0 ? 1 : 0;
    }
    tests.emplace_back(metric.path, mcnemar(gained, lost));
    p_values.push_back(tests.back().second.p_value);
  }
  const std::vector<double> corrected = holm(p_values);
  OrderedJson json = OrderedJson::object();
  for (std::size_t i = 0; i < tests.size(); ++i) {
    const auto& [path, test] = tests[i];
    json[path] = {
        {"test", test.exact ? "mcnemar-exact" : "mcnemar-chi2"},
        {"gained", test.gained},
        {"lost", test.lost},
        {"p", test.p_value},
        {"p_holm", corrected[i]}};
  }
  return json;
}

OrderedJson protocol_of(const Metric& metric, const Evaluation& evaluation) {
  const Protocol& protocol = evaluation.protocol;
  const bool free = metric.scorer == "em" || metric.scorer == "same";
  const Mode mode = metric.mode == to_string(Mode::kReasoning) ? Mode::kReasoning : Mode::kDirect;
  OrderedJson json = {
      {"metric", metric.path},
      {"protocol", free ? "autoregressive" : "teacher-forced"},
      {"scorer", metric.scorer},
      {"stop", free ? OrderedJson(to_string(protocol.stop)) : OrderedJson()},
      {"max_new_tokens", free ? OrderedJson(protocol.max_new_tokens(mode)) : OrderedJson()},
      {"prompt_form", metric.prompt_form},
      {"prompting", metric.mode},
      {"few_shot", 0},
      {"chat_template", false},
      {"normalisation", kNormalisation},
      {"aliases", free},
      {"comparable_group", comparable_group(metric, protocol)},
      {"aggregation", metric.aggregation},
      {"n_cases", metric.observations.size()},
      {"n_excluded", OrderedJson::object()},
      {"ci",
       {{"method", "bootstrap"},
        {"b", evaluation.bootstrap.resamples},
        {"level", 0.95},
        {"seed", evaluation.bootstrap.seed}}}};
  for (const auto& [name, count] : evaluation.excluded) {
    json["n_excluded"][name] = count;
  }
  if (!free) {
    std::int64_t merges = 0;
    for (const Output& output : evaluation.before) {
      merges += output.teacher_forced && output.teacher_forced->boundary_merge ? 1 : 0;
    }
    json["n_excluded"]["boundary_merge"] = 0;
    json["boundary_merges"] = merges; // encoded apart and scored all the same
  }
  return json;
}

OrderedJson output_json(const Output& output, const Verdict& verdict) {
  OrderedJson json = {
      {"text", output.text},
      {"ending", to_string(output.ending)},
      {"answer", verdict.answer ? OrderedJson(*verdict.answer) : OrderedJson()},
      {"right", verdict.right},
      {"exact", verdict.exact},
      {"contains", verdict.contains},
      {"stale", verdict.stale}};
  if (const auto& forced = output.teacher_forced) {
    json["teacher_forced"] = {
        {"exact", forced->exact},
        {"tokens", rounded(forced->tokens)},
        {"nll", rounded(forced->nll)}};
  }
  return json;
}

const char* change_of(const Verdict& before, const Verdict& after) {
  if (before.right == after.right) {
    return after.right ? "right" : "wrong";
  }
  return after.right ? "gained" : "lost";
}

} // namespace

OrderedJson results_json(const Evaluation& evaluation, const OrderedJson& facts) {
  const auto before = measure(
      evaluation.tasks, evaluation.before, evaluation.before_verdicts, evaluation.before_verdicts);
  std::vector<Metric> after;
  OrderedJson metrics = {{"before", figures(before, evaluation.bootstrap)}};
  metrics["after"] = nullptr;
  metrics["delta"] = nullptr;
  OrderedJson results;
  if (evaluation.has_after()) {
    after = measure(
        evaluation.tasks, evaluation.after, evaluation.after_verdicts, evaluation.before_verdicts);
    metrics["after"] = figures(after, evaluation.bootstrap);
    metrics["delta"] = deltas(before, after, evaluation.bootstrap);
    results["significance"] = significance(before, after);
  } else {
    results["significance"] = nullptr;
  }
  OrderedJson protocols = OrderedJson::array();
  for (const Metric& metric : evaluation.has_after() ? after : before) {
    if (!metric.observations.empty()) {
      protocols.push_back(protocol_of(metric, evaluation));
    }
  }
  OrderedJson complete = {
      {"errata_results", 1},
      {"date", utc_now()},
      {"version", build_info().version},
      {"tasks", evaluation.tasks.size()},
      {"tasks_hash", tasks_hash(evaluation.tasks)},
      {"seconds", rounded(evaluation.seconds)},
      {"metrics", std::move(metrics)}};
  complete.update(results);
  complete["protocol"] = std::move(protocols);
  complete["run"] = facts;
  add_lm_eval_fields(complete, evaluation, evaluation.has_after() ? after : before);
  return complete;
}

std::string samples_jsonl(const Evaluation& evaluation) {
  std::string lines;
  for (std::size_t i = 0; i < evaluation.tasks.size(); ++i) {
    const Task& task = evaluation.tasks[i];
    OrderedJson line = {
        {"id", task.id},
        {"suite", to_string(suite_of(task.part))},
        {"part", to_string(task.part)},
        {"prompting", to_string(task.mode)},
        {"item", task.item},
        {"cluster", task.cluster},
        {"kind", task.kind},
        {"wording", task.wording},
        {"changed", task.changed},
        {"prompt", task.prompt},
        {"answers", task.answers},
        {"stale", task.stale}};
    if (!task.chain.empty()) {
      line["chain"] = OrderedJson::array();
      for (const datasets::Hop& hop : task.chain) {
        line["chain"].push_back({hop.subject, hop.relation, hop.object});
      }
    }
    line["before"] = output_json(evaluation.before[i], evaluation.before_verdicts[i]);
    line["after"] = nullptr;
    if (evaluation.has_after()) {
      const Verdict& before = evaluation.before_verdicts[i];
      const Verdict& after = evaluation.after_verdicts[i];
      line["after"] = output_json(evaluation.after[i], after);
      line["same"] = same_answer(before, after);
      line["verdict"] = change_of(before, after);
    } else {
      line["verdict"] = evaluation.before_verdicts[i].right ? "right" : "wrong";
    }
    lines += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return lines;
}

OrderedJson write_results(
    const std::filesystem::path& directory,
    const Evaluation& evaluation,
    const OrderedJson& facts) {
  make_directories(directory);
  OrderedJson results = results_json(evaluation, facts);
  write_file(directory / "samples.jsonl", samples_jsonl(evaluation));
  write_json(directory / "results.json", results);
  write_report(directory);
  return results;
}

} // namespace errata::eval
