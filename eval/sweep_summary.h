#pragma once

#include "eval/statistics.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// Several settings ("rows") with several seeds each, as one table (docs/formats/sweep.md).

namespace errata::eval {

/// Figures by path: "multihop.changed.cot".
using Figures = std::map<std::string, Figure>;

/// The figures of `metrics.before` or `metrics.after` of results.json, without intervals.
Figures read_figures(const nlohmann::json& metrics);

/// Where the seconds of training stand among a run's figures.
inline constexpr const char* kTrainingSeconds = "training.seconds";

/// One setting with one seed.
struct SweepRun {
  enum class State { kMissing, kDone, kFailed };
  std::uint64_t seed = 0;
  std::uint64_t fold = 0;
  State state = State::kMissing;
  std::string error;      ///< why it failed: one line
  std::string tasks_hash; ///< of the questions it was asked
  Figures before;
  Figures after;
};

struct SweepRow {
  std::string name;
  std::vector<SweepRun> runs; ///< the same seeds and folds in every row
};

/// What the untouched base answered, as a row called "before": of each seed the first run that is
/// done.
SweepRow base_row(const std::vector<SweepRow>& rows);

/// One figure over the runs of a row that have it.
struct Spread {
  std::int64_t runs = 0;
  double mean = 0;                   ///< of the runs' values
  std::optional<double> sd;          ///< sample standard deviation; missing for one run
  double pooled = 0;                 ///< of all observations of all runs
  std::int64_t n = 0;                ///< how many those are
  std::optional<std::int64_t> right; ///< missing where observations are not 0 or 1
};

std::optional<Spread> spread(const SweepRow& row, const std::string& path);

/// A column of the table: a cell for the base, then one for each row; in percent, "98.8 ± 0.4" by
/// mean and standard deviation, or pooled over the runs with n in the title.
struct SweepColumn {
  std::string title;
  int block = 0; ///< columns that stand together where a line has no room for all
  std::vector<std::string> cells;
};

/// Without the columns that no run has a figure for.
std::vector<SweepColumn> sweep_columns(const std::vector<SweepRow>& rows);

/// "lora lr=1, seed 0: training diverged ...", a line for each failed run.
std::vector<std::string> sweep_failures(const std::vector<SweepRow>& rows);

nlohmann::ordered_json sweep_json(const std::vector<SweepRow>& rows);
/// A line for each figure of each run, for other programs.
std::string sweep_csv(const std::vector<SweepRow>& rows);
std::string sweep_markdown(const std::vector<SweepRow>& rows);

} // namespace errata::eval
