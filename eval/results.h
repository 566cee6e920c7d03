#pragma once

#include "eval/measure.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace errata::eval {

/// Answers of a model, or of a model before and after its edits, to the same tasks.
struct Evaluation {
  std::vector<Task> tasks;
  Protocol protocol;
  BootstrapOptions bootstrap;
  std::vector<Output> before;
  std::vector<Verdict> before_verdicts;
  std::vector<Output> after; ///< empty when only a base was evaluated
  std::vector<Verdict> after_verdicts;
  double seconds = 0;
  /// What was left out and why: "shared_aliases", "dropped_cases".
  std::map<std::string, std::int64_t> excluded;

  bool has_after() const noexcept { return !after.empty(); }
};

/// results.json (docs/formats/run.md): `metrics.before`, `metrics.after` (null without one),
/// `metrics.delta`, `significance`, `protocol`, and the fields of lm-eval's results. `facts` is put
/// in as `run`: hashes, versions, options, what the caller knows.
nlohmann::ordered_json results_json(
    const Evaluation& evaluation, const nlohmann::ordered_json& facts);

/// One line of samples.jsonl per task, in order.
std::string samples_jsonl(const Evaluation& evaluation);

/// Writes results.json, samples.jsonl and report.html into `directory`; returns the results.
nlohmann::ordered_json write_results(
    const std::filesystem::path& directory,
    const Evaluation& evaluation,
    const nlohmann::ordered_json& facts);

/// Main figures of `results` as lines for a terminal of 80 columns.
std::string results_table(const nlohmann::ordered_json& results);

/// Up to `count` questions that became right and as many that became wrong, for a terminal. For a
/// base alone: up to `count` wrong answers.
std::string examples_text(const Evaluation& evaluation, std::size_t count = 3);

/// Which outputs to show first: multi-hop in steps, then reliability, then the rest. Indices of
/// tasks that were wrong before and are right now (`gained`), or right before and wrong now.
std::vector<std::size_t> changed_tasks(const Evaluation& evaluation, bool gained);

} // namespace errata::eval
