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

void write_to_stderr(LogLevel /*level*/, std::string_view message) {
  const std::string line = std::string(message) + '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

LogSink& sink() {
  static LogSink current = write_to_stderr;
  return current;
}

} // namespace

void set_log_level(LogLevel level) noexcept {
  g_level = level;
}

LogLevel log_level() noexcept {
  return g_level;
}

LogSink set_log_sink(LogSink new_sink) {
  const std::lock_guard lock(g_mutex);
  return std::exchange(sink(), new_sink ? std::move(new_sink) : LogSink(write_to_stderr));
}

void log(LogLevel level, std::string_view message) {
  if (level > g_level) {
    return;
  }
  const std::lock_guard lock(g_mutex);
  sink()(level, message);
}

} // namespace errata
