#pragma once

#include <functional>
#include <string_view>

namespace errata {

enum class LogLevel { kError, kWarning, kInfo, kDebug };

void set_log_level(LogLevel level) noexcept;
LogLevel log_level() noexcept;

/// Receives every enabled line, without a newline. The default writes it to stderr.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

/// Writes to stderr what is at least as serious as `least`.
LogSink stderr_log(LogLevel least = LogLevel::kDebug);

/// Replaces the sink (an empty one restores the default) and returns the previous one.
LogSink set_log_sink(LogSink sink);

/// Sends one line to the sink when `level` is enabled. Safe to call from any thread.
void log(LogLevel level, std::string_view message);

} // namespace errata
