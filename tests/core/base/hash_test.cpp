#include "core/base/hash.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

// FIPS 180-4 examples.
TEST(HashTest, MatchesThePublishedDigests) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(HashTest, PiecesMakeTheWhole) {
  EXPECT_EQ(Sha256().update("a").update("bc").hex_digest(), sha256("abc"));
}

TEST(HashTest, StableHashIsTheDigestsFirstEightBytes) {
  EXPECT_EQ(stable_hash("abc"), 0xba7816bf8f01cfeaULL);
}

} // namespace
} // namespace errata
