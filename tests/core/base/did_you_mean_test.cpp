#include "core/base/did_you_mean.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

TEST(DidYouMeanTest, NamesTheNearestOrSaysSomethingElse) {
  const std::vector<std::string> known = {"capital", "currency"};
  EXPECT_EQ(did_you_mean("capitol", known), "; did you mean 'capital'?");
  EXPECT_EQ(did_you_mean("capitol", known, "; see the list"), "; did you mean 'capital'?");
  EXPECT_EQ(did_you_mean("zebra", known), "");
  EXPECT_EQ(did_you_mean("zebra", known, "; see the list"), "; see the list");
  EXPECT_EQ(did_you_mean("capital", {}), "");
}

} // namespace
} // namespace errata
