#include "core/schedule.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace errata {

std::string_view to_string(Schedule schedule) noexcept {
  switch (schedule) {
    case Schedule::kConstant:
      return "constant";
    case Schedule::kLinear:
      return "linear";
    case Schedule::kCosine:
      return "cosine";
  }
  return "constant";
}

Schedule parse_schedule(std::string_view text) {
  for (const Schedule schedule : {Schedule::kConstant, Schedule::kLinear, Schedule::kCosine}) {
    if (text == to_string(schedule)) {
      return schedule;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument,
      "schedule '",
      text,
      "' is unknown; use constant, linear or cosine");
}

double schedule_factor(const ScheduleOptions& options, std::int64_t step, std::int64_t total) {
  const double warm =
      options.warmup > 0
          ? std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(options.warmup))
          : 1.0;
  double factor = warm;
  if (options.kind != Schedule::kConstant && total > 0) {
    const double left = 1.0 - static_cast<double>(step) / static_cast<double>(total);
    const double phase = options.decay > 0 ? std::min(1.0, left / options.decay) : 1.0;
    factor *= options.kind == Schedule::kLinear ? phase
                                                : 0.5 * (1.0 - std::cos(std::numbers::pi * phase));
  }
  return std::max(factor, options.floor);
}

} // namespace errata
