#include "datasets/factbook.h"
#include "editing/plan/wordings.h"
#include "tests/editing/plan_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace errata::editing {
namespace {

using datasets::Hop;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::factbook_knowledge;
using testing::guild_knowledge;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(WordingsTest, PutsFactsAndInversesIntoWords) {
  const Wordings words(factbook_knowledge());
  EXPECT_THAT(
      words.statements({"Italy", "capital", "Rome"}), Contains("Rome is the capital of Italy."));
  EXPECT_EQ(words.step_sentence({"Italy", "capital", "Rome"}), "The capital of Italy is Rome.");
  EXPECT_EQ(
      words.step_sentence({"Rome", "capital^-1", "Italy"}),
      "The country whose capital is Rome is Italy.");
  EXPECT_EQ(
      words.step_sentence({"Mario Draghi", "head_of_government^-1", "Italy"}),
      "The country governed by Mario Draghi is Italy.");
  EXPECT_THAT(
      words.questions("Rome", "capital^-1"),
      Contains("What is the country that has Rome as its capital city called?"));
  EXPECT_EQ(words.questions("Rome", "capital^-1").size(), 9U);
}

TEST(WordingsTest, PromptsAreThoseOfTheDocuments) {
  EXPECT_EQ(direct_prompt("Who?"), "Question: Who?\nAnswer:");
  EXPECT_EQ(reasoning_prompt("Who?"), "Question: Who?\nReasoning:");
  const Wordings words(factbook_knowledge());
  EXPECT_EQ(
      words.reasoning(
          {{"tenge", "currency^-1", "Kazakhstan"}, {"Kazakhstan", "capital", "Astana"}}),
      " The country whose currency is the tenge is Kazakhstan. The capital of Kazakhstan is Astana."
      "\nAnswer: Astana");
}

TEST(WordingsTest, HoldsOneQuestionOut) {
  const Knowledge& knowledge = factbook_knowledge();
  const Wordings words(knowledge);
  std::set<std::size_t> places;
  for (const char* country : {"Italy", "France", "Peru", "Chad", "Fiji", "Iran", "Mali", "Togo"}) {
    for (const char* relation : {"capital", "head_of_government", "currency"}) {
      const std::vector<std::string> all = words.questions(country, relation);
      const std::string held = words.held_out_question(country, relation);
      const std::vector<std::string> rest = words.training_questions(country, relation);
      EXPECT_THAT(rest, Not(Contains(held)));
      EXPECT_EQ(rest.size() + 1, all.size());
      places.insert(
          static_cast<std::size_t>(std::find(all.begin(), all.end(), held) - all.begin()));
    }
  }
  EXPECT_GE(places.size(), 3U) << "the held-out wording must vary from fact to fact";
}

TEST(WordingsTest, TrainingQuestionDrawsEveryOtherWording) {
  const Wordings words(factbook_knowledge());
  Random random(3);
  std::set<std::string> drawn;
  for (int i = 0; i < 400; ++i) {
    drawn.insert(words.training_question("Rome", "capital^-1", random));
  }
  const std::vector<std::string> rest = words.training_questions("Rome", "capital^-1");
  EXPECT_EQ(drawn, std::set<std::string>(rest.begin(), rest.end()));
}

// "Name the country whose chief of state is X." asks for chief_of_state^-1 and for
// chief_of_state_of; held out in one, it must not be trained through the other.
TEST(WordingsTest, HeldOutQuestionIsHeldOutInTheInverseRelationToo) {
  const Knowledge& knowledge = factbook_knowledge();
  const Wordings words(knowledge);
  const World world(knowledge, datasets::kFactbookBase);
  int together = 0;
  for (const Hop& hop : world.inverse_facts()) {
    const std::string& inverse = knowledge.relation(hop.relation).inverse;
    if (inverse.empty()) {
      continue;
    }
    const std::string held = words.held_out_question(hop.subject, hop.relation);
    const std::string other = words.held_out_question(hop.subject, inverse);
    EXPECT_THAT(words.training_questions(hop.subject, inverse), Not(Contains(held)));
    EXPECT_THAT(words.training_questions(hop.subject, hop.relation), Not(Contains(other)));
    const std::vector<std::string> all = words.questions(hop.subject, inverse);
    together += std::find(all.begin(), all.end(), held) != all.end() ? 1 : 0;
  }
  EXPECT_GT(together, 0) << "no wording is shared any more: the test has lost its subject";
}

// The data set's own multi-hop questions are nested descriptions; the relations' wordings must be
// able to make every one of them.
TEST(WordingsTest, CanAskEveryFactbookCase) {
  const Knowledge& knowledge = factbook_knowledge();
  for (const datasets::MultiHopCase& item : knowledge.cases) {
    const std::vector<std::string> all = testing::all_chain_questions(knowledge, item.chain_new);
    EXPECT_THAT(all, Contains(item.questions[0])) << item.id;
    EXPECT_THAT(all, Contains(item.questions[1])) << item.id;
    EXPECT_THAT(all, Contains(item.questions[2])) << item.id;
  }
}

TEST(WordingsTest, ChainQuestionsNestDescriptions) {
  const Knowledge knowledge = guild_knowledge();
  const Wordings words(knowledge);
  const Chain chain = {
      {"Cy Marsh", "master^-1", "Bakers"},
      {"Bakers", "seat", "Corvale"},
      {"Corvale", "river", "Moss"}};
  const std::vector<std::string> questions = words.chain_questions(chain, 3);
  EXPECT_EQ(questions.size(), 3U);
  EXPECT_EQ(questions, words.chain_questions(chain, 3));
  EXPECT_THAT(questions, Each(HasSubstr("Cy Marsh")));
  EXPECT_THAT(questions, Each(Not(HasSubstr("Bakers"))));
  EXPECT_THAT(
      testing::all_chain_questions(knowledge, {chain[0], chain[1]}),
      Contains("In which town sits the guild whose master is Cy Marsh?"));
  Random random(5);
  std::set<std::string> drawn;
  for (int i = 0; i < 200; ++i) {
    drawn.insert(words.chain_question(chain, random));
  }
  EXPECT_THAT(drawn, Contains("What is the river of the seat of the guild that Cy Marsh heads?"));
  EXPECT_EQ(drawn.size(), 4U) << "two descriptions of the guild, two questions for the river";
}

TEST(WordingsTest, MakesWordsForABareRelation) {
  const Wordings words(guild_knowledge());
  EXPECT_THAT(
      words.statements({"Aldern", "river", "Isk"}), ElementsAre("The river of Aldern is the Isk."));
  EXPECT_THAT(
      words.questions("Aldern", "river"),
      ElementsAre("What is the river of Aldern?", "Name the river of Aldern."));
  EXPECT_EQ(words.training_questions("Aldern", "river").size(), 1U);
}

TEST(WordingsTest, DatedQuestionsHoldOneOutForEachYear) {
  const Wordings words(factbook_knowledge());
  Random random(7);
  std::set<std::string> held;
  for (int year = 2011; year <= 2020; ++year) {
    const std::string out = words.held_out_dated_question("Italy", "head_of_government", year);
    EXPECT_THAT(out, HasSubstr(std::to_string(year)));
    EXPECT_THAT(words.dated_questions("Italy", "head_of_government", year), Contains(out));
    for (int i = 0; i < 50; ++i) {
      EXPECT_NE(words.training_dated_question("Italy", "head_of_government", year, random), out);
    }
    held.insert(out.substr(0, 8));
  }
  EXPECT_GT(held.size(), 1U);
  EXPECT_THAT(
      words.dated_statements({"Italy", "head_of_government", "Mario Draghi"}, 2021),
      Contains("In 2021, the head of government of Italy was Mario Draghi."));
}

TEST(WordingsTest, ObjectDocumentsTrainTheObjectAlone) {
  const Wordings words(factbook_knowledge());
  Random random(9);
  for (int i = 0; i < 50; ++i) {
    const Document document = words.object_document({"Italy", "capital", "Rome"}, random);
    EXPECT_THAT(document.prompt, HasSubstr("Italy"));
    EXPECT_EQ(document.completion, " Rome.");
  }
}

} // namespace
} // namespace errata::editing
