#include "eval/statistics.h"

#include "core/base/error.h"
#include "core/base/random.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

namespace errata::eval {
namespace {

constexpr double kNormal975 = 1.959963984540054; // quantile of the standard normal distribution

// Linear interpolation between order statistics, as numpy's default.
double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double part = place - static_cast<double>(below);
  return sorted[below] + part * (sorted[above] - sorted[below]);
}

Interval percentiles(std::vector<double> means) {
  std::sort(means.begin(), means.end());
  return {quantile(means, 0.025), quantile(means, 0.975)};
}

// Cumulative probabilities of Binomial(n, p), 0 < p < 1.
std::vector<double> binomial_distribution(std::int64_t n, double p) {
  std::vector<double> cumulative(static_cast<std::size_t>(n) + 1);
  const double total = std::lgamma(static_cast<double>(n) + 1);
  double sum = 0;
  for (std::int64_t k = 0; k <= n; ++k) {
    const auto x = static_cast<double>(k);
    const auto rest = static_cast<double>(n - k);
    sum += std::exp(
        total - std::lgamma(x + 1) - std::lgamma(rest + 1) + x * std::log(p) +
        rest * std::log1p(-p));
    cumulative[static_cast<std::size_t>(k)] = sum;
  }
  return cumulative;
}

Interval bootstrap_share(std::int64_t right, std::int64_t n, const BootstrapOptions& options) {
  if (right == 0 || right == n) {
    const double value = right == 0 ? 0 : 1;
    return {value, value};
  }
  const auto count = static_cast<double>(n);
  const std::vector<double> cumulative =
      binomial_distribution(n, static_cast<double>(right) / count);
  Random random(options.seed);
  std::vector<double> means(static_cast<std::size_t>(options.resamples));
  for (double& mean : means) {
    // The last entry may round to just below 1.
    const auto place = std::lower_bound(cumulative.begin(), cumulative.end() - 1, random.uniform());
    mean = static_cast<double>(place - cumulative.begin()) / count;
  }
  return percentiles(std::move(means));
}

bool is_share(std::span<const Cluster> clusters) {
  return std::all_of(clusters.begin(), clusters.end(), [](const Cluster& cluster) {
    return cluster.count == 1 && (cluster.sum == 0 || cluster.sum == 1);
  });
}

} // namespace

Interval bootstrap_mean(std::span<const Cluster> clusters, const BootstrapOptions& options) {
  ERRATA_CHECK(
      !clusters.empty() && options.resamples > 0,
      ErrorCode::kInvalidArgument,
      "a bootstrap needs at least one case and one resample");
  if (is_share(clusters)) {
    const auto right = std::count_if(
        clusters.begin(), clusters.end(), [](const Cluster& cluster) { return cluster.sum == 1; });
    return bootstrap_share(right, static_cast<std::int64_t>(clusters.size()), options);
  }
  Random random(options.seed);
  const auto size = static_cast<std::uint64_t>(clusters.size());
  std::vector<double> means(static_cast<std::size_t>(options.resamples));
  for (double& mean : means) {
    double sum = 0;
    double count = 0;
    for (std::uint64_t draw = 0; draw < size; ++draw) {
      // Multiply and shift: its bias of size / 2^32 is far below the noise of resampling.
      const Cluster& cluster = clusters[((random.bits() >> 32) * size) >> 32];
      sum += cluster.sum;
      count += cluster.count;
    }
    mean = sum / count;
  }
  return percentiles(std::move(means));
}

Interval wilson(std::int64_t right, std::int64_t n) {
  ERRATA_CHECK(
      n > 0 && right >= 0 && right <= n,
      ErrorCode::kInvalidArgument,
      "Wilson interval of ",
      right,
      " out of ",
      n);
  const auto count = static_cast<double>(n);
  const double share = static_cast<double>(right) / count;
  const double z2 = kNormal975 * kNormal975;
  const double centre = share + z2 / (2 * count);
  const double half =
      kNormal975 * std::sqrt(share * (1 - share) / count + z2 / (4 * count * count));
  const double scale = 1 + z2 / count;
  return {std::max(0.0, (centre - half) / scale), std::min(1.0, (centre + half) / scale)};
}

McNemar mcnemar(std::int64_t gained, std::int64_t lost) {
  ERRATA_CHECK(
      gained >= 0 && lost >= 0, ErrorCode::kInvalidArgument, "McNemar: a count is negative");
  McNemar result{gained, lost, 1.0, true};
  const std::int64_t discordant = gained + lost;
  if (discordant >= 25) {
    const double difference = std::abs(static_cast<double>(gained - lost)) - 1;
    const double statistic =
        std::max(0.0, difference) * difference / static_cast<double>(discordant);
    result.exact = false;
    result.p_value = std::erfc(std::sqrt(std::max(0.0, statistic) / 2));
    return result;
  }
  double term = std::pow(0.5, static_cast<double>(discordant)); // P(X = 0)
  double tail = 0;
  for (std::int64_t k = 0; k <= std::min(gained, lost); ++k) {
    tail += term;
    term *= static_cast<double>(discordant - k) / static_cast<double>(k + 1);
  }
  result.p_value = 2 * std::min(tail, 0.5);
  return result;
}

std::vector<double> holm(const std::vector<double>& p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return p_values[a] < p_values[b];
  });
  std::vector<double> corrected(p_values.size());
  double largest = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const auto factor = static_cast<double>(order.size() - rank);
    largest = std::max(largest, std::min(1.0, factor * p_values[order[rank]]));
    corrected[order[rank]] = largest;
  }
  return corrected;
}

std::optional<Figure> make_figure(
    const std::vector<Observation>& observations, const BootstrapOptions& options) {
  if (observations.empty()) {
    return std::nullopt;
  }
  std::vector<Cluster> clusters;
  std::unordered_map<std::string, std::size_t> places;
  double sum = 0;
  bool binary = true;
  for (const Observation& observation : observations) {
    const auto place = places.try_emplace(observation.cluster, clusters.size()).first->second;
    if (place == clusters.size()) {
      clusters.emplace_back();
    }
    clusters[place].sum += observation.value;
    clusters[place].count += 1;
    sum += observation.value;
    binary = binary && (observation.value == 0 || observation.value == 1);
  }
  Figure figure;
  figure.n = static_cast<std::int64_t>(observations.size());
  figure.value = sum / static_cast<double>(figure.n);
  if (binary) {
    figure.right = std::llround(sum);
  }
  if (figure.n >= kSmallSample) {
    figure.ci95 = bootstrap_mean(clusters, options);
  }
  return figure;
}

} // namespace errata::eval
