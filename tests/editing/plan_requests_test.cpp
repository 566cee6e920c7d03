#include "core/base/files.h"
#include "editing/plan/edit_documents.h"
#include "editing/plan/edit_requests.h"
#include "editing/plan/text_documents.h"
#include "tests/editing/plan_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <set>

namespace errata::editing {
namespace {

using testing::factbook_knowledge;
using testing_support::expect_error;

EditPlan factbook_plan() {
  const Knowledge& knowledge = factbook_knowledge();
  const Date from{2021, 1, 31};
  const Date to{2026, 1, 22};
  return make_edit_plan(
      knowledge, from, to, difference(World(knowledge, from), World(knowledge, to)));
}

TEST(EditRequestsTest, EveryEditAsksInWordsThatMayBeTrainedOn) {
  const Wordings words(factbook_knowledge());
  const EditPlan plan = factbook_plan();
  const std::size_t facts = plan.slots.size() + plan.injected.size() + plan.injected_inverse.size();
  const auto once = edit_requests(plan, words, 1);
  ASSERT_LE(once.size(), facts);
  ASSERT_GT(once.size(), facts * 9 / 10); // but for inverse relations that ask the same
  // The first of a slot is its own prompt.
  const std::vector<Document> examples = edit_examples(plan, words);
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    EXPECT_EQ(once[i].id, plan.slots[i].edit_id);
    EXPECT_EQ(once[i].subject, plan.slots[i].fact.subject);
    EXPECT_EQ(once[i].prompt, examples[i].prompt);
    EXPECT_EQ(once[i].completion, examples[i].completion);
  }
  const auto thrice = edit_requests(plan, words, 3);
  EXPECT_GT(thrice.size(), 2 * facts);
  std::set<std::string> prompts;
  for (const EditRequest& request : thrice) {
    EXPECT_TRUE(prompts.insert(request.prompt).second) << request.prompt;
  }
  for (const EditedSlot& slot : plan.slots) {
    EXPECT_FALSE(prompts.contains(
        direct_prompt(words.held_out_question(slot.fact.subject, slot.fact.relation))));
  }
}

TEST(EditRequestsTest, EditsGivenOutrightNeedTheirSubject) {
  const Wordings words(factbook_knowledge());
  datasets::ExplicitEdit edit;
  edit.id = "7";
  edit.prompt = "The capital of Peru is";
  edit.target_new = "Cusco";
  edit.subject = "Peru";
  const auto requests = edit_requests(make_edit_plan({edit}), words, 3);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].completion, " Cusco");
  for (const char* subject : {"", "Chile"}) {
    edit.subject = subject;
    expect_error(ErrorCode::kInvalidArgument, {"edit 7", subject, "is not in its prompt"}, [&] {
      edit_requests(make_edit_plan({edit}), words, 1);
    });
  }
}

TEST(TextDocumentsTest, ParagraphsStandBetweenBlankLines) {
  const testing_support::TemporaryDirectory directory;
  const std::string file = (directory / "text.txt").string();
  write_file(file, "one\ntwo  three\r\n\n  \n\nfour\n");
  const auto documents = read_paragraphs({file, file});
  ASSERT_EQ(documents.size(), 4U);
  EXPECT_EQ(documents[0].completion, "one two three");
  EXPECT_EQ(documents[1].completion, "four");
  EXPECT_EQ(documents[3].completion, "four");
  std::string words;
  for (int i = 0; i < 1000; ++i) {
    words += "word" + std::to_string(i) + " ";
  }
  write_file(file, words);
  std::string joined;
  for (const Document& document : read_paragraphs({file})) {
    EXPECT_LE(document.completion.size(), 2000U);
    joined += document.completion + " ";
  }
  EXPECT_EQ(joined, words);
  write_file(file, " \n\n");
  expect_error(ErrorCode::kCorrupt, {"text.txt", "no text"}, [&] { read_paragraphs({file}); });
  expect_error(ErrorCode::kNotFound, {"none.txt"}, [&] {
    read_paragraphs({(directory / "none.txt").string()});
  });
}

TEST(TextDocumentsTest, EveryRoundHasEveryDocumentOnce) {
  auto documents = std::make_shared<std::vector<Document>>();
  for (int i = 0; i < 20; ++i) {
    documents->push_back({"", std::to_string(i), "text"});
  }
  const auto stream = shuffled(documents, 5);
  const auto again = shuffled(documents, 5);
  std::vector<std::string> first;
  std::vector<std::string> second;
  for (auto* round : {&first, &second}) {
    for (int i = 0; i < 20; ++i) {
      round->push_back(stream->next().completion);
      EXPECT_EQ(again->next().completion, round->back());
    }
    EXPECT_EQ(std::set<std::string>(round->begin(), round->end()).size(), 20U);
  }
  EXPECT_NE(first, second);
}

} // namespace
} // namespace errata::editing
