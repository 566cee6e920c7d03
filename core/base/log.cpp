#include "core/base/log.h"

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

namespace errata {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::mutex g_mutex;

LogSink& sink() {
  static LogSink current = stderr_log();
  return current;
}

} // namespace

LogSink stderr_log(LogLevel least) {
  return [least](LogLevel level, std::string_view message) {
    if (level <= least) {
      const std::string line = std::string(message) + '\n';
      std::fwrite(line.data(), 1, line.size(), stderr);
    }
  };
}

void set_log_level(LogLevel level) noexcept {
  g_level = level;
}

LogLevel log_level() noexcept {
  return g_level;
}

LogSink set_log_sink(LogSink new_sink) {
  const std::lock_guard lock(g_mutex);
  return std::exchange(sink(), new_sink ? std::move(new_sink) : stderr_log());
}

void log(LogLevel level, std::string_view message) {
  if (level > g_level) {
    return;
  }
  const std::lock_guard lock(g_mutex);
  sink()(level, message);
}

} // namespace errata
