#pragma once

#include "core/base/error.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace errata::testing_support {

/// Expects `action` to throw an `Error` of this kind with one line that holds all `parts`.
inline void expect_error(
    ErrorCode code, const std::vector<std::string>& parts, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(to_string(error.code()), to_string(code)) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const std::string& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << "no '" << part << "' in: " << message;
    }
    return;
  }
  ADD_FAILURE() << "no error; expected " << to_string(code);
}

} // namespace errata::testing_support
