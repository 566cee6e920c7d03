#pragma once

#include "core/base/files.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace errata::testing_support {

/// The errata program as a child process, its output in files of `directory`.
class Program {
 public:
  Program(const std::filesystem::path& directory, const std::vector<std::string>& arguments)
      : out_(directory / "stdout.txt"), err_(directory / "stderr.txt") {
    std::vector<std::string> words = {ERRATA_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) {
      argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    child_ = ::fork();
    if (child_ == 0) {
      redirect(out_, STDOUT_FILENO);
      redirect(err_, STDERR_FILENO);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
  }
  ~Program() {
    if (child_ > 0) {
      send(SIGKILL);
      wait();
    }
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void send(int signal) const {
    if (child_ > 0) {
      ::kill(child_, signal);
    }
  }

  /// Exit code, or 128 + signal as a shell reports it.
  int wait() {
    if (child_ > 0) {
      ::waitpid(child_, &status_, 0);
      child_ = -1;
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }

  bool running() {
    if (child_ > 0 && ::waitpid(child_, &status_, WNOHANG) == child_) {
      child_ = -1;
    }
    return child_ > 0;
  }

  std::string out() const { return read_file(out_); }
  std::string err() const { return read_file(err_); }

 private:
  static void redirect(const std::filesystem::path& file, int descriptor) {
    const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ::dup2(opened, descriptor);
    ::close(opened);
  }

  std::filesystem::path out_;
  std::filesystem::path err_;
  pid_t child_ = -1;
  int status_ = 0; ///< once the child is gone
};

struct Finished {
  int code = 0;
  std::string out;
  std::string err;
};

inline Finished run_program(
    const std::filesystem::path& directory, const std::vector<std::string>& arguments) {
  Program program(directory, arguments);
  const int code = program.wait();
  return {code, program.out(), program.err()};
}

} // namespace errata::testing_support
