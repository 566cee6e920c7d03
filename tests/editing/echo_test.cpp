#include "editing/echo.h"

#include "editing/example.h"
#include "tests/editing/editor_support.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace errata::editing {
namespace {

using testing_support::EditingFixture;

constexpr std::size_t kQuestions = 200;

class EchoTest : public ::testing::Test {
 protected:
  EchoTest() {
    knowledge.relations.emplace_back().name = "capital";
    for (const char* country : {"Italy", "France", "Spain", "Norway", "Japan"}) {
      datasets::Fact& fact = knowledge.facts.emplace_back();
      fact.subject = country;
      fact.relation = "capital";
      fact.object = std::string(country) + " City";
    }
  }

  std::vector<Document> echo(std::uint64_t seed) {
    const Wordings words(knowledge);
    const OpenQuestions open(knowledge, words, plan);
    asked = open.prompts(kQuestions, seed);
    return echo_documents(
        fixture.model, *fixture.tokenizer, {fixture.tokenizer->eos()}, open, kQuestions, seed);
  }

  EditingFixture fixture;
  Knowledge knowledge;
  EditPlan plan;
  std::vector<std::string> asked;
};

TEST_F(EchoTest, IsWhatTheModelSaysAndOnlyWhatItEnds) {
  const std::vector<Document> documents = echo(1);
  // A random model ends an answer now and then.
  ASSERT_FALSE(documents.empty());
  ASSERT_EQ(asked.size(), kQuestions);
  EXPECT_LT(documents.size(), asked.size());
  auto place = asked.begin();
  for (const Document& document : documents) {
    place = std::find(place, asked.end(), document.prompt); // in their order
    ASSERT_NE(place, asked.end());
    ++place;
    EXPECT_EQ(document.kind, "echo");
    EXPECT_TRUE(document.rehearsal);
    EXPECT_TRUE(make_example(document, *fixture.tokenizer).distilled) << document.completion;
  }
}

// Single letters stand for the two ends: a random model names both in many an answer.
TEST_F(EchoTest, NamesNoFactThatIsHeldOut) {
  const auto names_both = [](const Document& document) {
    const std::string text = document.prompt + document.completion;
    return text.find('m') != std::string::npos && text.find('d') != std::string::npos;
  };
  const std::vector<Document> all = echo(1);
  const auto both = static_cast<std::size_t>(std::count_if(all.begin(), all.end(), names_both));
  ASSERT_GT(both, 0U);
  ASSERT_LT(both, all.size());
  plan.kept.emplace_back().fact = {"m", "capital", "d"};
  const std::vector<Document> filtered = echo(1);
  EXPECT_EQ(filtered.size(), all.size() - both);
  EXPECT_TRUE(std::none_of(filtered.begin(), filtered.end(), names_both));
}

TEST_F(EchoTest, IsNothingWhereNothingIsOpen) {
  knowledge = {};
  EXPECT_TRUE(echo(1).empty());
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
