#include "editing/echo.h"

#include "editing/example.h"
#include "tests/editing/editor_support.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace errata::editing {
namespace {

using testing_support::EditingFixture;

class EchoTest : public ::testing::Test {
 protected:
  EchoTest() {
    for (int i = 0; i < 20; ++i) {
      for (const Document& document : testing_support::capital_documents()) {
        prompts.push_back(document.prompt);
      }
    }
  }

  std::vector<Document> echo(std::uint64_t seed) {
    return echo_documents(
        fixture.model, *fixture.tokenizer, {fixture.tokenizer->eos()}, prompts, seed);
  }

  EditingFixture fixture;
  std::vector<std::string> prompts;
};

TEST_F(EchoTest, IsWhatTheModelSaysAndOnlyWhatItEnds) {
  const std::vector<Document> documents = echo(1);
  // A random model ends an answer now and then.
  ASSERT_FALSE(documents.empty());
  EXPECT_LT(documents.size(), prompts.size());
  auto place = prompts.begin();
  for (const Document& document : documents) {
    place = std::find(place, prompts.end(), document.prompt); // in their order
    ASSERT_NE(place, prompts.end());
    ++place;
    EXPECT_EQ(document.kind, "echo");
    EXPECT_TRUE(document.rehearsal);
    EXPECT_NO_THROW(make_example(document, *fixture.tokenizer)) << document.completion;
  }
}

TEST_F(EchoTest, IsTheSameForASeed) {
  const auto text = [](const std::vector<Document>& documents) {
    std::string all;
    for (const Document& document : documents) {
      all += document.prompt + document.completion + '\n';
    }
    return all;
  };
  EXPECT_EQ(text(echo(1)), text(echo(1)));
  EXPECT_NE(text(echo(1)), text(echo(2)));
}

} // namespace
} // namespace errata::editing
