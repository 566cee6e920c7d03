#pragma once

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "tests/support/python.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <string>

namespace errata::testing_support {

/// The JSON that a script of this folder prints for `command` (its name and arguments) and a last
/// argument that names a file with `input`. A script that fails fails the test with its stderr.
inline Json judge(const std::string& command, const Json& input) {
  const TemporaryDirectory directory;
  write_file(directory / "input.json", input.dump());
  const auto [status, output] = run_shell(concat(
      python().string(),
      " " ERRATA_SOURCE_DIR "/tests/interop/",
      command,
      " ",
      (directory / "input.json").string(),
      " 2>",
      (directory / "log").string()));
  EXPECT_EQ(status, 0) << read_file(directory / "log");
  return Json::parse(output, nullptr, false);
}

} // namespace errata::testing_support
