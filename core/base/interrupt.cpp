#include "core/base/interrupt.h"

#include <atomic>
#include <csignal>

namespace errata {
namespace {

std::atomic<bool> g_interrupted{false};

void on_signal(int signal) {
  g_interrupted = true;
  std::signal(signal, SIG_DFL);
}

} // namespace

void install_interrupt_handler() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() noexcept {
  return g_interrupted;
}

void set_interrupted(bool value) noexcept {
  g_interrupted = value;
}

} // namespace errata
