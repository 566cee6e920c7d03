#include "eval/protocol.h"

#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

namespace errata::eval {
namespace {

std::string cut(std::string_view text, StopRule rule, Mode mode = Mode::kDirect) {
  const auto stop = find_stop(text, mode, rule);
  return std::string(stop ? text.substr(0, *stop) : text) + (stop ? "|" : "");
}

TEST(StopRuleTest, EosNeverCuts) {
  EXPECT_EQ(cut(" Rome.\nAnd more", StopRule::kEos), " Rome.\nAnd more");
}

TEST(StopRuleTest, LocftCutsAtAnyFullStop) {
  EXPECT_EQ(cut(" St. Louis", StopRule::kLocft), " St|");
  EXPECT_EQ(cut(" Rome\nQuestion", StopRule::kLocft), " Rome|");
}

TEST(StopRuleTest, ErrataKeepsAbbreviationsAndNumbers) {
  EXPECT_EQ(cut(" St. Louis. It is", StopRule::kErrata), " St. Louis|");
  EXPECT_EQ(cut(" John F. Kennedy. He", StopRule::kErrata), " John F. Kennedy|");
  EXPECT_EQ(cut(" U.S. dollar\n", StopRule::kErrata), " U.S. dollar|");
  EXPECT_EQ(cut(" 3.5 million", StopRule::kErrata), " 3.5 million");
  EXPECT_EQ(cut(" Rome.", StopRule::kErrata), " Rome|");
  EXPECT_EQ(cut(" Caf\xC3\xA9. Yes", StopRule::kErrata), " Caf\xC3\xA9|");
}

TEST(StopRuleTest, LeadingNewlineIsNoAnswer) {
  EXPECT_EQ(cut("\n Rome\n", StopRule::kErrata), "\n Rome|");
}

TEST(StopRuleTest, ReasoningGoesOnToItsAnswer) {
  const std::string steps = " The capital of Italy is Rome. It is old.\nAnswer: Rome.";
  EXPECT_EQ(
      cut(steps + " Next", StopRule::kErrata, Mode::kReasoning),
      steps.substr(0, steps.size() - 1) + "|");
  EXPECT_EQ(cut(" One. Two.\nThree.", StopRule::kLocft, Mode::kReasoning), " One. Two.\nThree.");
  EXPECT_EQ(cut(" One.\n\nAnswer: x", StopRule::kErrata, Mode::kReasoning), " One.|");
  EXPECT_EQ(cut(" One.\nAnswer:", StopRule::kErrata, Mode::kReasoning), " One.\nAnswer:");
}

TEST(StopRuleTest, NamesRoundTrip) {
  for (const StopRule rule : {StopRule::kEos, StopRule::kErrata, StopRule::kLocft}) {
    EXPECT_EQ(parse_stop_rule(to_string(rule)), rule);
  }
  testing_support::expect_error(
      ErrorCode::kInvalidArgument, {"'dot'", "eos"}, [] { parse_stop_rule("dot"); });
}

TEST(ExtractTest, DirectIsTheWholeText) {
  EXPECT_EQ(extract_answer(" Answer: Rome ", Mode::kDirect), "Answer: Rome");
  EXPECT_EQ(extract_answer("", Mode::kDirect), "");
}

TEST(ExtractTest, ReasoningTakesTheLastMark) {
  EXPECT_EQ(extract_answer(" A. Answer: no. B.\nAnswer: Rome\n", Mode::kReasoning), "Rome");
  EXPECT_EQ(extract_answer(" The capital is Rome.", Mode::kReasoning), std::nullopt);
  EXPECT_EQ(extract_answer(" x\nAnswer:", Mode::kReasoning), "");
}

} // namespace
} // namespace errata::eval
