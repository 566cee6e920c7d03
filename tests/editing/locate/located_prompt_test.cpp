#include "editing/locate/located_prompt.h"

#include "tests/editing/editor_support.h"

#include <gtest/gtest.h>

namespace errata::editing {
namespace {

class LocatedPromptTest : public testing::Test {
 protected:
  // What the tokens up to and with `last` say.
  std::string up_to(const LocatedPrompt& located, std::int64_t last) const {
    return fixture_.tokenizer->decode({located.tokens.begin(), located.tokens.begin() + last + 1});
  }

  testing_support::EditingFixture fixture_;
};

TEST_F(LocatedPromptTest, TheSubjectEndsWhereItsCharactersDo) {
  for (const EditRequest& request : testing_support::capital_requests(1)) {
    for (const std::string context : {"", "The capital of Peru is Lima. "}) {
      const LocatedPrompt located = locate_prompt(request, context, *fixture_.tokenizer);
      const std::string before = context + "The capital of " + request.subject;
      EXPECT_EQ(up_to(located, located.subject_last), before);
      EXPECT_LT(up_to(located, located.subject_last - 1).size(), before.size());
      EXPECT_EQ(up_to(located, located.first_label - 1), context + request.prompt);
      EXPECT_EQ(up_to(located, located.rows() - 1), context + request.prompt + request.completion);
    }
    const LocatedPrompt about = locate_subject(request, *fixture_.tokenizer);
    EXPECT_EQ(up_to(about, about.subject_last), request.subject);
    EXPECT_EQ(up_to(about, about.rows() - 1), request.subject + " is a");
    EXPECT_EQ(about.first_label, about.rows());
  }
}

TEST_F(LocatedPromptTest, TheLastOccurrenceCountsAndATokenMayReachBeyondIt) {
  const Tokenizer& tokenizer = *fixture_.tokenizer;
  const LocatedPrompt twice =
      locate_prompt({"1", "Peru, Peru is", " Lima.", "Peru"}, "", tokenizer);
  EXPECT_EQ(up_to(twice, twice.subject_last), "Peru, Peru");
  // "capital" is one piece: the one that holds the subject's end.
  const LocatedPrompt inside =
      locate_prompt({"2", "The capital of Peru is", " Lima.", "The cap"}, "", tokenizer);
  EXPECT_EQ(up_to(inside, inside.subject_last), "The capital");
  EXPECT_EQ(up_to(inside, inside.subject_last - 1), "The");
}

TEST_F(LocatedPromptTest, RequestsOfOneKeyAreOneProblem) {
  const std::vector<EditRequest> requests{
      {"1", "The capital of Peru is", " Lima.", "Peru"},
      {"2", "The capital of Cuba is", " Havana.", "Cuba"},
      {"3", "The capital of Peru, of course, is", " Lima.", "Peru"}};
  const std::vector<std::string> contexts{"Rome is Rome. ", "Oslo. "};
  const auto problems = value_problems(requests, contexts, *fixture_.tokenizer);
  ASSERT_EQ(problems.size(), 2U);
  ASSERT_EQ(problems[0].prompts.size(), 6U);
  ASSERT_EQ(problems[1].prompts.size(), 3U);
  EXPECT_EQ(
      problems[0].prompts[0].tokens, locate_prompt(requests[0], "", *fixture_.tokenizer).tokens);
  EXPECT_EQ(
      problems[0].prompts[4].tokens,
      locate_prompt(requests[2], contexts[0], *fixture_.tokenizer).tokens);
  EXPECT_EQ(problems[1].about.tokens, locate_subject(requests[1], *fixture_.tokenizer).tokens);
}

} // namespace
} // namespace errata::editing
