#pragma once

#include <cstdint>
#include <string_view>

namespace errata {

enum class Schedule { kConstant, kLinear, kCosine };

std::string_view to_string(Schedule schedule) noexcept;
/// "constant", "linear" or "cosine"; anything else is `kInvalidArgument`.
Schedule parse_schedule(std::string_view text);

/// The learning rate over a run, as a factor of its peak.
struct ScheduleOptions {
  Schedule kind = Schedule::kLinear;
  std::int64_t warmup = 20; ///< steps of linear increase from 1/warmup
  /// Share of the run, at its end, over which the rate falls; before that it stays at the peak.
  double decay = 1.0;
  double floor = 0.0; ///< the factor never falls below this
};

/// The factor of `step` (from 0) of `total`. Linear with decay 1 is
/// min(1, (step + 1) / warmup) * (1 - step / total).
double schedule_factor(const ScheduleOptions& options, std::int64_t step, std::int64_t total);

} // namespace errata
