#include "datasets/factbook.h"
#include "editing/plan/edit_documents.h"
#include "editing/plan/open_questions.h"
#include "tests/editing/plan_support.h"

#include <gtest/gtest.h>

#include <set>

namespace errata::editing {
namespace {

using datasets::Hop;
using testing::factbook_knowledge;
using testing::guild_knowledge;

struct Setting {
  explicit Setting(const Knowledge& all, const Date& from, const Date& to)
      : knowledge(all),
        words(all),
        plan(make_edit_plan(all, from, to, difference(World(all, from), World(all, to)))),
        open(all, words, plan) {}

  const Knowledge& knowledge;
  Wordings words;
  EditPlan plan;
  OpenQuestions open;
};

const Setting& factbook() {
  static const Setting setting(
      factbook_knowledge(), datasets::kFactbookBase, datasets::kFactbookEnd);
  return setting;
}

// Every question of a fact of any day, whichever way round and whether it is trained on or not.
std::set<std::string> answered_questions(const Setting& setting) {
  std::set<std::string> all;
  for (const datasets::Fact& fact : setting.knowledge.facts) {
    for (std::string& question : setting.words.questions(fact.subject, fact.relation)) {
      all.insert(std::move(question));
    }
    if (!setting.knowledge.relation(fact.relation).inverse_noun.empty()) {
      for (std::string& question : setting.words.questions(fact.object, fact.relation + "^-1")) {
        all.insert(std::move(question));
      }
    }
  }
  return all;
}

std::string question_in(const std::string& prompt) {
  const std::string role = "Question: ";
  return prompt.starts_with(role) ? prompt.substr(role.size(), prompt.find('\n') - role.size())
                                  : "";
}

void expect_open(const Setting& setting, std::size_t count) {
  const std::set<std::string> answered = answered_questions(setting);
  const std::vector<std::string> prompts = setting.open.prompts(count, 4);
  EXPECT_EQ(prompts.size(), count);
  std::size_t statements = 0;
  std::size_t reasoned = 0;
  for (const std::string& prompt : prompts) {
    const std::string question = question_in(prompt);
    EXPECT_FALSE(answered.contains(question)) << prompt;
    statements += question.empty() ? 1 : 0;
    reasoned += prompt.ends_with("Reasoning:") ? 1 : 0;
    EXPECT_TRUE(!question.empty() || prompt.size() > kFactPrompt.size() + 1) << prompt;
  }
  EXPECT_GT(statements, count / 20);
  EXPECT_GT(reasoned, count / 20);
  EXPECT_GT(std::set<std::string>(prompts.begin(), prompts.end()).size(), count / 2);
}

TEST(OpenQuestionsTest, NoneHasAnAnswerInTheStore) {
  expect_open(factbook(), 5000);
  expect_open(Setting(guild_knowledge(), testing::kGuildsBefore, testing::kGuildsAfter), 200);
}

TEST(OpenQuestionsTest, AreTheSameForASeed) {
  EXPECT_EQ(factbook().open.prompts(300, 1), factbook().open.prompts(300, 1));
  EXPECT_NE(factbook().open.prompts(300, 1), factbook().open.prompts(300, 2));
}

TEST(OpenQuestionsTest, AKeptFactIsRecognisedByItsTwoEnds) {
  const Setting& setting = factbook();
  ASSERT_FALSE(setting.plan.kept.empty());
  for (const KeptFact& kept : setting.plan.kept) {
    const Hop& hop = kept.fact;
    EXPECT_TRUE(setting.open.names_kept_fact(concat(hop.object, " and ", hop.subject)));
  }
  EXPECT_FALSE(setting.open.names_kept_fact("Question: What is the capital of Kilimanjaro?"));
  bool passed = false;
  for (const Hop& hop : setting.plan.rehearsed) {
    passed = passed || !setting.open.names_kept_fact(concat(hop.object, " and ", hop.subject));
  }
  EXPECT_TRUE(passed);
}

TEST(OpenQuestionsTest, NothingIsAskedOfNothing) {
  const Knowledge empty;
  const Wordings words(empty);
  const EditPlan plan;
  EXPECT_TRUE(OpenQuestions(empty, words, plan).prompts(10, 0).empty());
}

TEST(OpenQuestionsTest, EchoTakesItsShareOfTheDocuments) {
  const Setting& setting = factbook();
  const auto echo = std::make_shared<const std::vector<Document>>(std::vector<Document>{
      {"Fact: A is", " B.", "echo", true}, {"Fact: C is", " D.", "echo", true}});
  const auto share = [&](DocumentStream& stream) {
    int found = 0;
    for (int i = 0; i < 10'000; ++i) {
      const Document document = stream.next();
      found += document.kind == "echo" ? 1 : 0;
      EXPECT_TRUE(document.kind != "echo" || document.rehearsal);
    }
    return found / 10'000.0;
  };
  AugmentOptions options;
  options.echo_ratio = 0.6;
  const auto all = edit_documents(setting.plan, setting.words, options, 1, echo);
  EXPECT_NEAR(share(*all), 0.6 / (1 + options.rehearsal_ratio + options.ripple_ratio + 0.6), 0.02);
  const auto kept = rehearsal_documents(setting.plan, setting.words, options, 1, echo);
  EXPECT_NEAR(share(*kept), 0.6 / (options.rehearsal_ratio + 0.6), 0.02);
  options.echo = false;
  EXPECT_EQ(share(*edit_documents(setting.plan, setting.words, options, 1, echo)), 0.0);
}

} // namespace
} // namespace errata::editing
