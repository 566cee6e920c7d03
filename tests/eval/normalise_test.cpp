#include "eval/normalise.h"

#include <gtest/gtest.h>

namespace errata::eval {
namespace {

TEST(NormaliseTest, FollowsTheOrderOfItsSteps) {
  EXPECT_EQ(normalise("  The U.S.  Dollar.\n"), "us dollar");
  // Articles go after punctuation: "(the)" is an article by then, "thea" is not.
  EXPECT_EQ(normalise("(The) Thea, an A-one"), "thea aone");
  EXPECT_EQ(normalise("Nur-Sultan"), "nursultan");
  EXPECT_EQ(normalise(".am"), "am");
}

TEST(NormaliseTest, FoldsUnicode) {
  EXPECT_EQ(normalise("STRASSE"), normalise("Straße")); // full case folding
  EXPECT_EQ(normalise("İstanbul"), normalise("i̇stanbul"));
  EXPECT_EQ(normalise("ΟΔΟΣ"), normalise("οδος"));         // final sigma
  EXPECT_EQ(normalise("cafe\xCC\x81"), normalise("café")); // combining accent
  EXPECT_EQ(normalise("ﬁve\xC2\xA0km²"), "five km2");      // compatibility forms, hard space
  EXPECT_EQ(normalise("Côte d\xE2\x80\x99Ivoire"), normalise("Côte d'Ivoire"));
  EXPECT_EQ(normalise("\xE2\x80\x9CHymn\xE2\x80\x9D"), "hymn");
  EXPECT_NE(normalise("Cote"), normalise("Côte")); // accents stay
}

TEST(NormaliseTest, SurvivesBytesThatAreNotText) {
  EXPECT_EQ(
      normalise("a\xFF"
                "b"),
      normalise("A\xEF\xBF\xBD"
                "B"));
  EXPECT_EQ(normalise("\xE2\x80"), normalise("\xEF\xBF\xBD\xEF\xBF\xBD"));
  EXPECT_EQ(normalise(""), "");
  EXPECT_EQ(normalise(" The ... "), "");
}

TEST(MatchTest, NeedsTheWholeAnswer) {
  const std::vector<std::string> accepted = {"Kassym-Jomart Tokayev", "Tokayev"};
  EXPECT_TRUE(matches(" tokayev.", accepted));
  EXPECT_TRUE(matches("Kassym-Jomart TOKAYEV", accepted));
  EXPECT_FALSE(matches("President Tokayev", accepted));
  EXPECT_FALSE(matches("Tokaye", accepted));
  EXPECT_FALSE(matches("Tokayev Tokayev", accepted));
  EXPECT_FALSE(matches("Tokayev", {}));
}

TEST(MatchTest, NothingMatchesNothing) {
  EXPECT_FALSE(matches("", {""}));
  EXPECT_FALSE(matches("the", {"the", "A"}));
  EXPECT_FALSE(matches_exactly("  ", {""}));
  EXPECT_FALSE(contains_answer("some text", {"the"}));
}

TEST(MatchTest, ExactKeepsCaseAndPunctuation) {
  EXPECT_TRUE(matches_exactly(" Astana\n", {"Astana"}));
  EXPECT_FALSE(matches_exactly("astana", {"Astana"}));
  EXPECT_FALSE(matches_exactly("Astana.", {"Astana"}));
}

TEST(MatchTest, ContainsStopsAtWordBoundaries) {
  EXPECT_TRUE(contains_answer("It is Rome, I think", {"rome"}));
  EXPECT_TRUE(contains_answer("Rome", {"Rome"}));
  EXPECT_FALSE(contains_answer("Romea is far", {"Rome"}));
  EXPECT_FALSE(contains_answer("New York", {"York City"}));
}

} // namespace
} // namespace errata::eval
