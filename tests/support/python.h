#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <sys/wait.h>
#include <utility>

namespace errata::testing_support {

/// The interpreter that holds the independent judges (transformers, safetensors, ...).
inline std::filesystem::path python() {
  return ERRATA_SOURCE_DIR "/.deps/venv/bin/python";
}

/// Runs a shell command: its exit status and what it wrote (stderr too, if redirected).
inline std::pair<int, std::string> run_shell(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return {-1, "popen failed"};
  }
  std::string output;
  char buffer[4096];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) {
    output.append(buffer, count);
  }
  const int status = ::pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

} // namespace errata::testing_support
