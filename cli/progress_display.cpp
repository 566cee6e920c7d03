#include "cli/progress_display.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <ostream>
#include <string>
#include <unistd.h>

namespace errata::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string clock_text(double seconds) {
  char text[32];
  const long whole = static_cast<long>(seconds + 0.5);
  std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

std::string one_decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.1f" : "%.0f", value);
  return text;
}

// What every style shares: when the current operation began and when it was last shown.
class Display {
 public:
  Display(std::string style, std::ostream& err) : style_(std::move(style)), err_(err) {}

  void show(const Progress& progress) {
    if (progress.what != what_) {
      what_ = progress.what;
      start_ = Clock::now();
      first_ = progress.done;
      shown_ = start_; // what is over at once needs no line before its last
    }
    const bool last = progress.total > 0 && progress.done >= progress.total;
    const double interval = style_ == "bar" ? 0.1 : 5.0;
    if (!last && seconds_since(shown_) < interval) {
      return;
    }
    if (last && finished_ == what_) {
      return;
    }
    shown_ = Clock::now();
    finished_ = last ? what_ : "";
    if (style_ == "json") {
      err_ << as_json(progress).dump() << '\n' << std::flush;
    } else if (style_ == "bar") {
      err_ << "\r\033[K" << line(progress) << (last ? "\n" : "") << std::flush;
    } else {
      err_ << line(progress) << '\n' << std::flush;
    }
  }

 private:
  // Units per second since this process began the operation (a resumed one starts above 0).
  double rate(const Progress& progress) const {
    const double seconds = seconds_since(start_);
    return seconds > 0 ? static_cast<double>(progress.done - first_) / seconds : 0;
  }

  std::string line(const Progress& progress) const {
    std::string text = concat(progress.what, ": ", progress.done);
    if (progress.total > 0) {
      text += concat('/', progress.total);
    }
    text += concat(' ', progress.unit);
    const double speed = rate(progress);
    if (speed > 0) {
      text += concat(", ", one_decimal(speed), "/s, ", clock_text(seconds_since(start_)));
      if (progress.total > progress.done) {
        text += " gone, " +
                clock_text(static_cast<double>(progress.total - progress.done) / speed) + " left";
      }
    }
    return progress.detail.empty() ? text : text + ", " + progress.detail;
  }

  OrderedJson as_json(const Progress& progress) const {
    return {
        {"progress", progress.what},
        {"done", progress.done},
        {"total", progress.total},
        {"unit", progress.unit},
        {"per_second", rate(progress)},
        {"detail", progress.detail}};
  }

  std::string style_;
  std::ostream& err_;
  std::string what_;
  std::string finished_;
  std::int64_t first_ = 0;
  Clock::time_point start_;
  Clock::time_point shown_;
};

} // namespace

ProgressCallback make_progress_display(const std::string& style, std::ostream& err) {
  if (style == "none") {
    return {};
  }
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const auto display =
      std::make_shared<Display>(style == "auto" ? (terminal ? "bar" : "plain") : style, err);
  return [display](const Progress& progress) { display->show(progress); };
}

} // namespace errata::cli
