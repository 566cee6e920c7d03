#include "core/base/error.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

TEST(ErrorTest, CheckCarriesCodeMessageAndPlace) {
  try {
    ERRATA_CHECK(1 == 2, ErrorCode::kCorrupt, "row ", 7);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_STREQ(error.what(), "row 7");
    EXPECT_EQ(error.line(), 10);
  }
}

TEST(ErrorTest, MessageIsAlwaysOneLine) {
  EXPECT_STREQ(Error(ErrorCode::kIo, "a\nb\r\nc").what(), "a b  c");
}

TEST(ErrorTest, ExitCodesAreTheDocumentedOnes) {
  EXPECT_EQ(exit_code(ErrorCode::kInternal), 1);
  EXPECT_EQ(exit_code(ErrorCode::kInvalidArgument), 2);
  EXPECT_EQ(exit_code(ErrorCode::kNotFound), 3);
  EXPECT_EQ(exit_code(ErrorCode::kIo), 3);
  EXPECT_EQ(exit_code(ErrorCode::kCorrupt), 4);
  EXPECT_EQ(exit_code(ErrorCode::kUnsupported), 5);
  EXPECT_EQ(exit_code(ErrorCode::kInterrupted), 130);
}

} // namespace
} // namespace errata
