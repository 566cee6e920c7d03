#include "editing/example.h"

#include "tests/editing/editor_support.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

namespace errata::editing {
namespace {

TEST(ExampleTest, LabelsAreTheCompletionAndTheEnd) {
  const testing_support::EditingFixture fixture;
  const Tokenizer& tokenizer = *fixture.tokenizer;
  for (const Document& document : testing_support::capital_documents()) {
    bool merged = true;
    const TrainExample example = make_example(document, tokenizer, &merged);
    EXPECT_FALSE(merged);
    EXPECT_EQ(example.tokens.front(), tokenizer.bos());
    EXPECT_EQ(example.tokens.back(), tokenizer.eos());
    const auto boundary = example.tokens.begin() + example.first_label;
    EXPECT_EQ(tokenizer.decode({boundary, example.tokens.end() - 1}), document.completion);
    EXPECT_EQ(
        std::vector<std::int32_t>(example.tokens.begin(), boundary),
        tokenizer.encode_prompt(document.prompt));
    EXPECT_EQ(example.rehearsal, document.rehearsal);
  }
}

TEST(ExampleTest, AMergeAcrossTheBoundaryIsTokenisedApart) {
  const testing_support::EditingFixture fixture;
  // " capital" is one piece when written together; the boundary must survive.
  bool merged = false;
  const std::string completion = "ital of Austria is Vienna.";
  const Document document{"The cap", completion, "edit", true};
  const TrainExample example = make_example(document, *fixture.tokenizer, &merged);
  EXPECT_TRUE(merged);
  EXPECT_TRUE(example.rehearsal);
  const auto boundary = example.tokens.begin() + example.first_label;
  EXPECT_EQ(fixture.tokenizer->decode({boundary, example.tokens.end() - 1}), completion);
}

TEST(ExampleTest, AnEmptyCompletionIsRefused) {
  const testing_support::EditingFixture fixture;
  testing_support::expect_error(ErrorCode::kInvalidArgument, {"no completion", "Rome is"}, [&] {
    make_example({"Rome is", "", "edit", false}, *fixture.tokenizer);
  });
}

} // namespace
} // namespace errata::editing
