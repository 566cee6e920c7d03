#include "datasets/factbook.h"
#include "editing/plan/multihop_builder.h"
#include "editing/plan/plan_cases.h"
#include "editing/plan/text.h"
#include "editing/store/edit_store.h"
#include "editing/store/import.h"
#include "tests/editing/facts.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

namespace errata::editing {
namespace {

using datasets::Fact;
using datasets::Hop;
using datasets::MultiHopCase;

/// Ships, their captains, the captains' homes and the homes' countries.
Knowledge small_world() {
  Knowledge world;
  for (const char* name : {"captain", "home", "country", "language"}) {
    datasets::Relation relation;
    relation.name = name;
    const std::string noun = "the " + relation.name + " of {s}";
    relation.statements = {noun + " is {o}."};
    relation.questions = {"What is " + noun + "?", "Name " + noun + ".", "Which is " + noun + "?"};
    relation.noun = {noun};
    relation.step = "The " + relation.name + " of {s} is {o}.";
    world.relations.push_back(relation);
  }
  world.relations[0].inverse_noun = {"the ship led by {o}"};
  world.facts = {
      fact("Argo", "captain", "Ann", "", "2022"),
      fact("Argo", "captain", "Bob", "2022"),
      fact("Bell", "captain", "Cid"),
      fact("Ann", "home", "Oslo"),
      fact("Bob", "home", "Rome"),
      fact("Cid", "home", "Rome"),
      fact("Oslo", "country", "Norway"),
      fact("Rome", "country", "Italy"),
      fact("Norway", "language", "Norwegian"),
      fact("Italy", "language", "Italian")};
  return world;
}

class PlanMultiHopTest : public ::testing::Test {
 protected:
  std::vector<MultiHopCase> build(const MultiHopOptions& options = {}) {
    report_ = {};
    datasets::Edit edit;
    edit.id = "e-argo";
    edit.subject = "Argo";
    edit.relation = "captain";
    return build_multi_hop(before_, after_, Wordings(world_), {edit}, options, report_);
  }
  static std::map<std::string, MultiHopCase> by_key(const std::vector<MultiHopCase>& cases) {
    std::map<std::string, MultiHopCase> result;
    for (const MultiHopCase& item : cases) {
      EXPECT_TRUE(result.emplace(chain_key(item.chain_new), item).second);
    }
    return result;
  }

  Knowledge world_ = small_world();
  World before_{world_, parse_date("2021")};
  World after_{world_, parse_date("2023")};
  MultiHopReport report_;
};

TEST_F(PlanMultiHopTest, WalksUpToFourHopsAndSaysWhichChanged) {
  const auto cases = by_key(build());
  const MultiHopCase& four = cases.at("Argo|captain>home>country>language");
  EXPECT_EQ(four.answer, "Norwegian");
  EXPECT_EQ(four.new_answer, "Italian");
  EXPECT_TRUE(four.changed);
  EXPECT_EQ(four.edited_hop, "first");
  EXPECT_THAT(four.edit_ids, ::testing::ElementsAre("e-argo"));
  EXPECT_EQ(four.chain.size(), 4U);
  EXPECT_EQ(four.questions.size(), 3U);
  EXPECT_EQ(four.questions.front().find("Italian"), std::string::npos);
  const MultiHopCase& kept = cases.at("Bell|captain>home");
  EXPECT_FALSE(kept.changed);
  EXPECT_EQ(kept.chain, kept.chain_new);
  EXPECT_THAT(kept.edit_ids, ::testing::IsEmpty());
  // Bob led no ship before: no answer, not another one.
  EXPECT_EQ(cases.count("Bob|captain^-1>captain"), 0U); // comes back to where it began
  for (const auto& [key, item] : cases) {
    EXPECT_GE(item.hops(), 2U) << key;
  }
}

TEST_F(PlanMultiHopTest, AnotherWayToTheSameAnswerIsNoChange) {
  world_.facts[5] = fact("Cid", "home", "Oslo");
  world_.facts[4] = fact("Bob", "home", "Oslo");
  before_ = World(world_, parse_date("2021"));
  after_ = World(world_, parse_date("2023"));
  const auto cases = by_key(build());
  EXPECT_FALSE(cases.contains("Argo|captain>home"));
  EXPECT_GT(report_.same_answer, 0U);
}

TEST_F(PlanMultiHopTest, SeveralValuesBeforeAreNotNoValue) {
  world_.facts.push_back(fact("Argo", "captain", "Dot", "", "2022"));
  before_ = World(world_, parse_date("2021"));
  after_ = World(world_, parse_date("2023"));
  EXPECT_FALSE(by_key(build()).contains("Argo|captain>home"));
  EXPECT_GT(report_.several_before, 0U);
}

TEST_F(PlanMultiHopTest, QuestionsDoNotShowTheAnswer) {
  // The ship is called like the town: every question about it shows the answer.
  for (Fact& item : world_.facts) {
    if (item.subject == "Bell") {
      item.subject = "Star of Rome";
    }
  }
  after_ = World(world_, parse_date("2023"));
  before_ = World(world_, parse_date("2021"));
  const auto cases = by_key(build());
  EXPECT_FALSE(cases.contains("Star of Rome|captain>home"));
  EXPECT_TRUE(cases.contains("Star of Rome|captain>home>country"));
  EXPECT_GT(report_.leaks, 0U);
}

TEST_F(PlanMultiHopTest, ADrawIsEvenAndRepeatable) {
  MultiHopOptions options;
  options.limit = 4;
  options.seed = 3;
  const auto ids = [](const std::vector<MultiHopCase>& cases) {
    std::vector<std::string> result;
    for (const MultiHopCase& item : cases) {
      result.push_back(item.id);
    }
    return result;
  };
  const auto first = build(options);
  EXPECT_EQ(first.size(), 4U);
  EXPECT_EQ(ids(first), ids(build(options)));
  std::set<std::string> last;
  for (const MultiHopCase& item : first) {
    last.insert(item.chain_new.back().relation);
  }
  EXPECT_GE(last.size(), 3U);
  options.limit = 0;
  options.min_hops = options.max_hops = 3;
  for (const MultiHopCase& item : build(options)) {
    EXPECT_EQ(item.hops(), 3U);
  }
  options.max_hops = 5;
  testing_support::expect_error(
      ErrorCode::kInvalidArgument, {"expected 2 to 4"}, [&] { build(options); });
}

TEST_F(PlanMultiHopTest, WhatWasNotBuiltIsExplained) {
  const std::vector<MultiHopCase> written = build();
  const auto reasons = [&](MultiHopOptions options) {
    options.explain = chain_keys(written);
    const auto built = build(options);
    std::map<std::string, std::string> result;
    std::size_t missing = 0;
    for (const Reached& item : check_reached(written, built, after_, options, report_)) {
      missing += item.reached ? 0 : 1;
      EXPECT_EQ(item.reached, item.reason.empty()) << item.id;
      if (!item.reached) {
        result[item.reason] = item.id;
      }
    }
    EXPECT_EQ(missing + built.size(), written.size());
    return result;
  };
  using ::testing::Pair;
  using ::testing::UnorderedElementsAre;
  EXPECT_THAT(reasons({}), ::testing::IsEmpty());
  MultiHopOptions one;
  one.limit = 1;
  EXPECT_THAT(reasons(one), UnorderedElementsAre(Pair("not drawn: above the limit", ::testing::_)));
  MultiHopOptions changed;
  changed.unchanged = false;
  EXPECT_THAT(
      reasons(changed),
      UnorderedElementsAre(Pair("cases that stayed were not asked for", ::testing::_)));
  MultiHopOptions through;
  through.relations = {"home", "country"};
  EXPECT_THAT(
      reasons(through),
      UnorderedElementsAre(Pair("its hops or relations were not asked for", ::testing::_)));
}

/// The cases that were validated by hand: each is reached, or the reason is known.
TEST(PlanMultiHopFactbookTest, EveryValidatedCaseIsReachedOrExplained) {
  const testing_support::TemporaryDirectory directory;
  StoreOptions throwaway;
  throwaway.durable = false;
  EditStore store = EditStore::create(directory / "book", throwaway);
  import_factbook(store, datasets::factbook_directory());
  const Knowledge knowledge = load_knowledge(store);
  const World before(knowledge, datasets::kFactbookBase);
  const World after(knowledge, datasets::kFactbookEnd);
  MultiHopReport report;
  MultiHopOptions options;
  options.explain = chain_keys(store.multi_hop("factbook"));
  const auto cases = build_multi_hop(
      before,
      after,
      Wordings(knowledge),
      store.diff(datasets::kFactbookBase, datasets::kFactbookEnd),
      options,
      report);
  const auto reached = check_reached(store.multi_hop("factbook"), cases, after, options, report);
  ASSERT_EQ(reached.size(), 2050U);
  std::map<std::string, std::size_t> reasons;
  for (const Reached& item : reached) {
    ++reasons[item.reason.substr(0, item.reason.find(':'))];
  }
  EXPECT_THAT(
      reasons,
      ::testing::ElementsAre(
          ::testing::Pair("", 2004U), // reached
          ::testing::Pair("every wording would show the answer", 1U),
          ::testing::Pair("the answer of the first look-up can be read in its question", 45U)));

  // Every case holds what it promises, judged by the facts themselves.
  std::set<std::string> questions;
  std::set<std::string> ids;
  for (const MultiHopCase& item : cases) {
    SCOPED_TRACE(item.id);
    EXPECT_TRUE(ids.insert(item.id).second);
    EXPECT_EQ(item.changed, item.answer != item.new_answer);
    EXPECT_TRUE(item.changed ? !item.edited_hop.empty() : item.chain == item.chain_new);
    EXPECT_TRUE(!item.changed || !item.edit_ids.empty());
    for (const std::string& question : item.questions) {
      EXPECT_TRUE(questions.insert(question).second) << question;
      EXPECT_FALSE(contains_word(lower_case(question), lower_case(item.new_answer))) << question;
    }
  }
  EXPECT_GT(cases.size(), 25'000U);
}

} // namespace
} // namespace errata::editing
