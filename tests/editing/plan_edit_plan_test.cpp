#include "core/base/error.h"
#include "core/base/json.h"
#include "datasets/factbook.h"
#include "editing/plan/edit_documents.h"
#include "editing/plan/edit_plan.h"
#include "editing/plan/pretrain_documents.h"
#include "tests/editing/plan_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace errata::editing {
namespace {

using datasets::EditKind;
using datasets::Hop;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::factbook_knowledge;
using testing::guild_knowledge;
using ::testing::HasSubstr;
using testing::kGuildsAfter;
using testing::kGuildsBefore;

EditPlan plan_between(
    const Knowledge& knowledge, const Date& from, const Date& to, const PlanOptions& options = {}) {
  return make_edit_plan(
      knowledge, from, to, difference(World(knowledge, from), World(knowledge, to)), options);
}

EditPlan factbook_plan(const PlanOptions& options = {}) {
  return plan_between(
      factbook_knowledge(), datasets::kFactbookBase, datasets::kFactbookEnd, options);
}

const EditPlan& default_plan() {
  static const EditPlan plan = factbook_plan();
  return plan;
}

TEST(DifferenceTest, NamesEveryChange) {
  const Knowledge knowledge = guild_knowledge();
  std::map<std::string, EditKind> kinds;
  for (const datasets::Edit& edit :
       difference(World(knowledge, kGuildsBefore), World(knowledge, kGuildsAfter))) {
    kinds[edit.subject + "/" + edit.relation] = edit.kind;
  }
  EXPECT_EQ(kinds.size(), 6U);
  EXPECT_EQ(kinds.at("Weavers/master"), EditKind::kModification);
  EXPECT_EQ(kinds.at("Bakers/seat"), EditKind::kModification);
  EXPECT_EQ(kinds.at("Ada Thorn/master_of"), EditKind::kRemoval);
  EXPECT_EQ(kinds.at("Bo Linden/master_of"), EditKind::kInjection);
  EXPECT_EQ(kinds.at("Bo Linden/birth_year"), EditKind::kInjection);
  EXPECT_EQ(kinds.at("Ada Thorn/birth_year"), EditKind::kRemoval);
}

TEST(EditPlanTest, TellsSlotsFromWhatComesWithThem) {
  const Knowledge knowledge = guild_knowledge();
  const EditPlan plan = plan_between(knowledge, kGuildsBefore, kGuildsAfter);
  ASSERT_EQ(plan.slots.size(), 2U);
  EXPECT_EQ(plan.slots[0].fact, (Hop{"Weavers", "master", "Bo Linden"}));
  EXPECT_THAT(plan.slots[0].answers, ElementsAre("Bo Linden", "Linden"));
  EXPECT_THAT(plan.slots[0].old_answers, ElementsAre("Ada Thorn", "Thorn"));
  EXPECT_EQ(plan.slots[1].fact, (Hop{"Bakers", "seat", "Corvale"}));
  EXPECT_THAT(
      plan.injected,
      ElementsAre(
          Hop{"Bo Linden", "birth_year", "1975"}, Hop{"Bo Linden", "master_of", "Weavers"}));
  EXPECT_THAT(
      plan.injected_inverse,
      ElementsAre(Hop{"Bo Linden", "master^-1", "Weavers"}, Hop{"Corvale", "seat^-1", "Bakers"}));
  EXPECT_EQ(plan.size(), 4U);
  ASSERT_EQ(plan.cases.size(), 1U);
  EXPECT_EQ(plan.cases[0].edited_hop, "first");
}

// Counts of the Python prototype (lab recipe): 645 new facts and 253 new inverse facts on the same
// relations. It counted 332 slots because it took every slot that ever changed: seven of them hold
// their first value again, and one (Haiti's chief of state) is vacant at the end; another became
// filled (counted there among the new facts). It also lacks 21 facts of leaders who came back: to
// it their first term never ended.
TEST(EditPlanTest, FactbookCountsAgreeWithThePrototype) {
  const EditPlan& plan = default_plan();
  EXPECT_EQ(plan.slots.size(), 325U);
  EXPECT_EQ(plan.injected.size(), 665U);
  EXPECT_EQ(plan.injected_inverse.size(), 253U);
  EXPECT_THAT(
      plan.edited_relations,
      ElementsAre("chief_of_state", "governor_general", "head_of_government"));
  EXPECT_THAT(
      plan.related_relations,
      ElementsAre("chief_of_state_of", "leads_government_of", "office_title", "took_office_year"));
  EXPECT_EQ(plan.cases.size(), 2050U);
  EXPECT_GT(plan.development_cases.size(), 200U);
  EXPECT_LT(plan.development_cases.size(), 500U);
  std::set<std::pair<std::string, std::string>> changed;
  for (const datasets::Edit& edit :
       datasets::read_factbook(datasets::factbook_directory()).changes) {
    changed.insert({edit.subject, edit.relation});
  }
  EXPECT_EQ(changed.size(), 332U);
  std::size_t unlisted = 0;
  for (const EditedSlot& slot : plan.slots) {
    unlisted += changed.contains({slot.fact.subject, slot.fact.relation}) ? 0 : 1;
  }
  EXPECT_EQ(unlisted, 1U);
}

TEST(EditPlanTest, SplitFollowsShareAndFold) {
  const EditPlan& plan = default_plan();
  const double share = static_cast<double>(plan.rehearsed.size()) /
                       static_cast<double>(plan.rehearsed.size() + plan.kept.size());
  EXPECT_NEAR(share, 0.8, 0.03);
  PlanOptions other;
  other.fold = 1;
  EXPECT_NE(factbook_plan(other).rehearsed, plan.rehearsed);
  EXPECT_EQ(factbook_plan().rehearsed, plan.rehearsed);
  PlanOptions all;
  all.rehearsal_share = 1;
  EXPECT_TRUE(factbook_plan(all).kept.empty());
  PlanOptions none;
  none.rehearsal_share = 0;
  EXPECT_TRUE(factbook_plan(none).rehearsed.empty());
  PlanOptions wrong;
  wrong.rehearsal_share = 1.5;
  EXPECT_THROW(factbook_plan(wrong), Error);
}

TEST(EditPlanTest, RefusesNothingToDo) {
  const Knowledge knowledge = guild_knowledge();
  try {
    plan_between(knowledge, kGuildsBefore, kGuildsBefore);
    FAIL() << "an empty difference was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("2020-06-01"));
  }
  EXPECT_THROW(plan_between(knowledge, kGuildsAfter, kGuildsBefore), Error);
  EXPECT_THROW(make_edit_plan(std::vector<datasets::ExplicitEdit>()), Error);
}

TEST(EditPlanTest, SummaryIsJson) {
  const Json json = parse_json(summary_json(default_plan()), "summary");
  EXPECT_EQ(json.at("slots").at("all"), 325);
  EXPECT_EQ(json.at("cases").at("changed"), 1350);
}

TEST(EditDocumentsTest, StreamsAreDeterministic) {
  const EditPlan& plan = default_plan();
  const Wordings words(factbook_knowledge());
  const auto first = edit_documents(plan, words, {}, 5);
  const auto second = edit_documents(plan, words, {}, 5);
  const auto other = edit_documents(plan, words, {}, 6);
  int differences = 0;
  for (int i = 0; i < 500; ++i) {
    const Document document = first->next();
    const Document same = second->next();
    EXPECT_EQ(document.prompt + document.completion, same.prompt + same.completion);
    differences += document.prompt != other->next().prompt ? 1 : 0;
  }
  EXPECT_GT(differences, 400);
}

std::map<std::string, int> kinds_of(const AugmentOptions& options, int count = 20'000) {
  static const EditPlan& plan = default_plan();
  const Wordings words(factbook_knowledge());
  const auto stream = edit_documents(plan, words, options, 1);
  std::map<std::string, int> kinds;
  for (int i = 0; i < count; ++i) {
    const Document document = stream->next();
    ++kinds[document.kind];
    ++kinds
        [document.rehearsal                    ? "(rehearsal)"
         : document.kind.starts_with("ripple") ? "(ripple)"
                                               : "(edit)"];
  }
  return kinds;
}

TEST(EditDocumentsTest, MixtureKeepsItsRatios) {
  std::map<std::string, int> kinds = kinds_of({});
  const double edits = kinds["(edit)"];
  EXPECT_NEAR(kinds["(rehearsal)"] / edits, 1.8, 0.1);
  EXPECT_NEAR(kinds["(ripple)"] / edits, 0.75, 0.05);
  EXPECT_NEAR(kinds["edit.question"] / edits, 2 / 9.0, 0.02);
  // Of weights that sum to 10.65 (docs/editing-data.md).
  EXPECT_NEAR(kinds["near.question"] / edits, 1.8 * 2 / 10.65, 0.03);
  EXPECT_NEAR(kinds["near.statement"] / edits, 1.8 * 0.6 / 10.65, 0.02);
}

TEST(EditDocumentsTest, EverySwitchTakesItsKindsAway) {
  AugmentOptions no_ripple;
  no_ripple.ripple = false;
  EXPECT_FALSE(kinds_of(no_ripple, 5000).contains("ripple.reasoning"));
  AugmentOptions no_near;
  no_near.near = false;
  for (const auto& [kind, count] : kinds_of(no_near, 5000)) {
    EXPECT_FALSE(kind.starts_with("near")) << kind;
  }
  AugmentOptions only_statements = AugmentOptions::none();
  only_statements.statement = true;
  for (const auto& [kind, count] : kinds_of(only_statements, 5000)) {
    EXPECT_TRUE(kind == "edit.prompt" || kind.ends_with("statement") || kind == "(edit)") << kind;
  }
  AugmentOptions no_inverse;
  no_inverse.inverse = false;
  EXPECT_FALSE(kinds_of(no_inverse, 5000).contains("inverse.question"));
  AugmentOptions no_dated;
  no_dated.dated = false;
  EXPECT_FALSE(kinds_of(no_dated, 5000).contains("dated.question"));
}

TEST(EditDocumentsTest, NoneRepeatsTheOwnPromptsEpochByEpoch) {
  const EditPlan& plan = default_plan();
  const Wordings words(factbook_knowledge());
  const std::vector<Document> examples = edit_examples(plan, words);
  ASSERT_EQ(examples.size(), plan.slots.size());
  const auto stream = edit_documents(plan, words, AugmentOptions::none(), 2);
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::multiset<std::string> seen;
    std::multiset<std::string> expected;
    for (const Document& example : examples) {
      expected.insert(example.prompt + example.completion);
      const Document document = stream->next();
      seen.insert(document.prompt + document.completion);
    }
    EXPECT_EQ(seen, expected);
  }
}

TEST(EditDocumentsTest, ExplicitEditsNeedNoTemplates) {
  datasets::ExplicitEdit edit;
  edit.id = "1";
  edit.prompt = "The mother tongue of Danielle Darrieux is";
  edit.target_new = "English";
  edit.paraphrases = {"Danielle Darrieux speaks"};
  const EditPlan plan = make_edit_plan({edit});
  const Wordings words{Knowledge()};
  const auto stream = edit_documents(plan, words, {}, 0);
  for (int i = 0; i < 3; ++i) {
    const Document document = stream->next();
    EXPECT_EQ(document.prompt, edit.prompt);
    EXPECT_EQ(document.completion, " English");
  }
  EXPECT_EQ(edit_examples(plan, words).size(), 1U);
  EXPECT_EQ(plan.size(), 1U);
}

TEST(AugmentTest, ReadsItsList) {
  EXPECT_TRUE(parse_augment("none").is_none());
  EXPECT_EQ(to_string(parse_augment("ripple,statement")), "statement,ripple");
  EXPECT_EQ(
      to_string(parse_augment("all")),
      "statement,question,inverse,reasoning,ripple,dated,rehearsal,near,echo");
  EXPECT_THROW(parse_augment("near"), Error);
  EXPECT_THROW(parse_augment(""), Error);
  try {
    parse_augment("statement,ripples");
    FAIL() << "an unknown kind was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'ripple'"));
  }
}

TEST(PretrainDocumentsTest, CoversEveryKindAndEveryFact) {
  const PretrainPlan plan = make_pretrain_plan(factbook_knowledge(), datasets::kFactbookBase);
  const Wordings words(factbook_knowledge());
  const auto stream = pretrain_documents(plan, words, 3);
  std::map<std::string, int> kinds;
  std::set<std::string> asked;
  for (int i = 0; i < 30'000; ++i) {
    const Document document = stream->next();
    ++kinds[document.kind];
    if (document.kind == "question") {
      asked.insert(document.prompt);
    }
  }
  EXPECT_EQ(kinds.size(), 9U);
  // Drawn without replacement: after one round every fact has been asked once.
  EXPECT_GT(asked.size(), plan.single.size());
  EXPECT_EQ(vocabulary_lines(plan, words, 1000, 1).size(), 1000U);
  EXPECT_EQ(vocabulary_lines(plan, words, 100, 1)[0].find('\n'), std::string::npos);
}

TEST(PretrainDocumentsTest, SelectedRelationsStandAlone) {
  const Knowledge part = select_relations(factbook_knowledge(), {"capital", "currency"});
  const PretrainPlan plan = make_pretrain_plan(part, datasets::kFactbookBase);
  for (const Hop& hop : plan.single) {
    EXPECT_TRUE(hop.relation == "capital" || hop.relation == "currency");
  }
  EXPECT_TRUE(plan.history.empty());
  EXPECT_THROW(select_relations(factbook_knowledge(), {"no_such"}), Error);
}

} // namespace
} // namespace errata::editing
