#pragma once

#include "cli/command.h"
#include "core/base/json.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

namespace errata::testing_support {

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;

  Json json() const { return Json::parse(out); }
};

/// A command line run in this process, without progress.
inline Outcome run_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "errata");
  arguments.insert(arguments.end(), {"--progress", "none"});
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(argument.c_str());
  }
  std::ostringstream out;
  std::ostringstream err;
  Outcome outcome;
  outcome.code = cli::run(static_cast<int>(pointers.size()), pointers.data(), out, err);
  outcome.out = out.str();
  outcome.err = err.str();
  return outcome;
}

/// Expects the exit code, nothing on stdout and one line on stderr that holds every part.
inline void expect_failure(
    const std::vector<std::string>& arguments, int code, const std::vector<std::string>& parts) {
  const Outcome outcome = run_command(arguments);
  EXPECT_EQ(outcome.code, code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  for (const std::string& part : parts) {
    EXPECT_NE(outcome.err.find(part), std::string::npos) << "no '" << part << "': " << outcome.err;
  }
}

} // namespace errata::testing_support
