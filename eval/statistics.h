#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace errata::eval {

struct Interval {
  double low = 0;
  double high = 0;
};

/// What is drawn as one in resampling: all observations of a case, or of a subject.
struct Cluster {
  double sum = 0;   ///< of the observations
  double count = 0; ///< how many
};

/// How intervals are made; the level is 95 %.
struct BootstrapOptions {
  std::int64_t resamples = 10'000;
  std::uint64_t seed = 0;
};

/// Percentile bootstrap of the mean over all observations (sum of sums over sum of counts), drawing
/// clusters with replacement. Where every cluster is one observation of 0 or 1, the number of ones
/// is drawn from the binomial distribution that such a resample follows: the same law, without the
/// cost of a draw per observation. Throws `kInvalidArgument` for no clusters.
Interval bootstrap_mean(std::span<const Cluster> clusters, const BootstrapOptions& options = {});

/// Wilson's score interval for `right` of `n` (n > 0).
Interval wilson(std::int64_t right, std::int64_t n);

/// Two outcomes of the same cases: `gained` were wrong and are right now, `lost` the other way.
struct McNemar {
  std::int64_t gained = 0;
  std::int64_t lost = 0;
  double p_value = 1;
  bool exact = true; ///< two-sided binomial; else chi-square with continuity correction
};

/// McNemar's test: exact below 25 discordant pairs.
McNemar mcnemar(std::int64_t gained, std::int64_t lost);

/// Holm's step-down correction; the order of the input is kept.
std::vector<double> holm(const std::vector<double>& p_values);

/// Fewer observations than this get counts and no interval.
inline constexpr std::int64_t kSmallSample = 30;

/// One number of a result with how sure it is.
struct Figure {
  double value = 0;
  std::int64_t n = 0;
  /// How many were right; missing where observations are not 0 or 1.
  std::optional<std::int64_t> right;
  std::optional<Interval> ci95; ///< missing below `kSmallSample` observations
};

/// One value of one case.
struct Observation {
  std::string item;    ///< what was observed: pairs before with after
  std::string cluster; ///< drawn together
  double value = 0;
};

/// The mean of the observations; nothing for none.
std::optional<Figure> make_figure(
    const std::vector<Observation>& observations, const BootstrapOptions& options = {});

} // namespace errata::eval
