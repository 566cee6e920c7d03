// Differences of two states, what was learnt between two record times, conflicts and runs.

#include "tests/editing/store/store_fixture.h"

#include <gmock/gmock.h>

namespace errata::editing {
namespace {

using datasets::EditKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::expect_error;

class StoreDiffTest : public StoreTest {
 protected:
  EditStore make() const { return StoreTest::make("s", throwaway()); }
};

TEST_F(StoreDiffTest, TwoRecordTimesOfOneDay) {
  EditStore store = make();
  store.add(fact("A", "capital", "x", "2020"));           // 3
  store.add(fact("A", "capital", "y", "2022"));           // 4
  store.retract({"A", "capital", "x", std::nullopt}, ""); // 5
  store.add(fact("A", "capital", "z", "2020"));           // 6
  const Date day = parse_date("2021");
  const auto edits = store.diff(Moment{day, 3}, Moment{day, {}});
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_EQ(edits[0].kind, EditKind::kModification);
  EXPECT_EQ(edits[0].old_object, "x");
  EXPECT_EQ(edits[0].new_object, "z");
  EXPECT_EQ(store.diff(Moment{day, 4}, Moment{day, 5}).at(0).kind, EditKind::kRemoval);
  EXPECT_EQ(store.diff(Moment{day, 5}, Moment{day, 6}).at(0).kind, EditKind::kInjection);
  // Of another day the correction says nothing.
  EXPECT_THAT(store.diff(Moment{parse_date("2023"), 4}, Moment{parse_date("2023"), {}}), IsEmpty());
  // Both at once: what was thought of 2021 then against what is known of 2023 now.
  const auto both = store.diff(Moment{day, 3}, Moment{parse_date("2023"), {}});
  ASSERT_EQ(both.size(), 1U);
  EXPECT_EQ(both[0].old_object, "x");
  EXPECT_EQ(both[0].new_object, "y");
  const auto invalid = ErrorCode::kInvalidArgument;
  expect_error(invalid, {"swap the record times"}, [&] {
    store.diff(Moment{day, 5}, Moment{day, 4});
  });
  expect_error(invalid, {"swap the record times"}, [&] {
    store.diff(Moment{day, {}}, Moment{day, 4});
  });
  expect_error(invalid, {"no change 99"}, [&] { store.diff(Moment{day, 4}, Moment{day, 99}); });
}

// A removal is as old as the end of the value that went; a withdrawn one never held and has none.
TEST_F(StoreDiffTest, ARemovalIsEffectiveWhenTheValueEnded) {
  EditStore store = make();
  store.add(fact("A", "capital", "w", "2000", "2010"));         // 3
  store.add(fact("A", "capital", "x", "2020"));                 // 4
  store.retract({"A", "capital", "x", std::nullopt}, "");       // 5
  store.add(fact("A", "borders", "B", "2000", "2010"));         // 6
  store.add(fact("A", "borders", "B", "2020"));                 // 7
  store.retract({"A", "borders", "B", parse_date("2020")}, ""); // 8
  const Date day = parse_date("2021");
  for (const std::int64_t retracted : {5, 8}) {
    const auto edits = store.diff(Moment{day, retracted - 1}, Moment{day, retracted});
    ASSERT_EQ(edits.size(), 1U);
    EXPECT_EQ(edits[0].kind, EditKind::kRemoval);
    EXPECT_EQ(edits[0].effective, std::nullopt);
  }
  const auto ended = store.diff(parse_date("2005"), day);
  ASSERT_EQ(ended.size(), 2U);
  EXPECT_EQ(ended[0].effective, parse_date("2010"));
  EXPECT_EQ(ended[1].effective, parse_date("2010"));
}

TEST_F(StoreDiffTest, WhatWasLearntSince) {
  EditStore store = make();
  datasets::Fact provisional = fact("B", "capital", "b", "2020");
  provisional.provisional = true;
  store.add(provisional);                                 // 3
  store.add(fact("A", "capital", "x", "2020"));           // 4
  store.add(fact("A", "borders", "B"));                   // 5
  store.add(fact("A", "capital", "y", "2022"));           // 6: x ends
  store.retract({"A", "borders", "B", std::nullopt}, ""); // 7
  store.add(fact("A", "borders", "C"));                   // 8
  provisional.provisional = false;
  store.add(provisional);                                 // 9
  store.retract({"A", "capital", "y", std::nullopt}, ""); // 10: x holds again
  store.add(fact("A", "capital", "z", "2022"));           // 11: in the place of y
  std::vector<std::string> lines;
  for (const Learnt& item : store.learnt(5, 6)) {
    lines.push_back(
        std::string(datasets::to_string(item.kind)) + " " +
        (item.after ? item.after : item.before)->fact.object);
  }
  EXPECT_THAT(lines, ElementsAre("modification x", "injection y"));
  const auto all = store.learnt(6);
  ASSERT_EQ(all.size(), 4U); // borders, which has many values, gives two
  EXPECT_EQ(all[0].kind, EditKind::kRemoval);
  EXPECT_EQ(all[0].before->fact.object, "B");
  EXPECT_EQ(all[1].kind, EditKind::kInjection);
  EXPECT_EQ(all[1].after->fact.object, "C");
  EXPECT_EQ(all[2].kind, EditKind::kModification);
  EXPECT_EQ(all[2].before->fact.object, "y");
  EXPECT_EQ(all[2].after->fact.object, "z");
  EXPECT_TRUE(all[3].before->fact.provisional);
  EXPECT_FALSE(all[3].after->fact.provisional);
  EXPECT_THAT(store.learnt(11), IsEmpty());
  // Learnt and forgotten between the two times.
  EXPECT_EQ(store.learnt(9, 11).size(), 1U);
  expect_error(ErrorCode::kInvalidArgument, {"swap"}, [&] { store.learnt(6, 5); });
}

TEST_F(StoreDiffTest, ConflictsSayWhyAndWhatWouldEndThem) {
  EditStore store = make();
  datasets::Fact sourced = fact("A", "capital", "x", "2020", "2023");
  sourced.source = "atlas";
  store.add(sourced);
  store.add(fact("A", "capital", "y", "2022", "2024"));
  store.add(fact("B", "capital", "p", "2021"));
  store.add(fact("B", "capital", "q", "2021-01-01"));
  store.add(fact("C", "capital", "undated"), Succession::kExact);
  store.add(fact("C", "capital", "dated", "2021"));
  store.add(fact("D", "borders", "a"));
  store.add(fact("D", "borders", "b"));
  auto conflicts = store.conflicts();
  ASSERT_EQ(conflicts.size(), 3U);
  EXPECT_THAT(
      conflicts[0].why,
      ::testing::AllOf(
          HasSubstr("'x' is stated to hold until 2023, but 'y' begins on 2022"),
          HasSubstr("source atlas"),
          HasSubstr("change 3")));
  EXPECT_THAT(conflicts[1].why, HasSubstr("begin on the same day, 2021"));
  EXPECT_THAT(conflicts[2].why, HasSubstr("'undated' has no dates"));
  // Each way out ends its conflict.
  for (const Conflict& conflict : conflicts) {
    conflict.until ? store.end(conflict.wrong, *conflict.until) : store.retract(conflict.wrong);
  }
  EXPECT_THAT(store.conflicts(), IsEmpty());
  EXPECT_THAT(store.verify(), IsEmpty());
}

TEST_F(StoreDiffTest, RunsTellWhatIsOutOfDateInThem) {
  EditStore store = make();
  store.add(fact("A", "capital", "x", "2020"));
  store.add(fact("A", "capital", "y", "2022"));
  store.add(fact("B", "capital", "p", "2022"));
  store.add(fact("C", "capital", "c", "2019", "2021"));
  RunRecord run;
  run.id = "run-1";
  run.from = parse_date("2020-06");
  run.to = parse_date("2023");
  run.edits = store.diff(*run.from, *run.to);
  ASSERT_EQ(run.edits.size(), 3U);
  store.record_run(run);
  const auto standing = [&] {
    std::vector<std::string> lines;
    for (const CarriedEdit& item : store.carried(store.run("run-1"))) {
      lines.push_back(item.edit.subject + (item.holds ? " holds" : " stale"));
    }
    return lines;
  };
  EXPECT_THAT(standing(), ElementsAre("C holds", "A holds", "B holds"));
  store.retract({"A", "capital", "y", std::nullopt}, "never happened");
  store.retract({"C", "capital", std::nullopt, std::nullopt}, "");
  store.add(fact("C", "capital", "c", "2019"));
  EXPECT_THAT(standing(), ElementsAre("C stale", "A stale", "B holds"));
  EXPECT_THAT(store.carried(store.run("run-1"))[1].now, ElementsAre("x"));
  EXPECT_EQ(store.last_run_with(run.edits[1].id).id, "run-1");
  const auto invalid = ErrorCode::kInvalidArgument;
  expect_error(invalid, {"did you mean 'run-1'"}, [&] { store.run("run-2"); });
  expect_error(invalid, {"no recorded run carries"}, [&] { store.last_run_with("e-none"); });
  run.id = "broken";
  run.edits[0].new_object = "impossible"; // a removal with a new value
  expect_error(invalid, {"broken", "lacks"}, [&] { store.record_run(run); });
}

TEST_F(StoreDiffTest, QueriesCombine) {
  EditStore store = make();
  datasets::Fact sourced = fact("Kazakhstan", "capital", "Astana", "2022-09-17");
  sourced.source = "gazette 12";
  store.add(fact("Kazakhstan", "capital", "Nur-Sultan", "2019"));
  store.add(sourced);
  store.add(fact("Kazakhstan", "borders", "China"));
  const auto objects = [&](auto&& set) {
    FactQuery query;
    set(query);
    std::vector<std::string> result;
    for (const StoredFact& stored : store.find(query)) {
      result.push_back(stored.fact.object);
    }
    return result;
  };
  EXPECT_THAT(
      objects([](FactQuery& q) { q.text = "KAZAKH"; }),
      ElementsAre("China", "Nur-Sultan", "Astana"));
  EXPECT_THAT(objects([](FactQuery& q) { q.text = "100%_"; }), IsEmpty());
  EXPECT_THAT(objects([](FactQuery& q) { q.source = "gazette*"; }), ElementsAre("Astana"));
  EXPECT_THAT(objects([](FactQuery& q) { q.limit = 1; }), ElementsAre("China"));
  EXPECT_THAT(
      objects([](FactQuery& q) {
        q.from = parse_date("2020");
        q.to = parse_date("2022");
        q.relation = "capital";
      }),
      ElementsAre("Nur-Sultan"));
  EXPECT_THAT(
      objects([](FactQuery& q) {
        q.subject = "Kazakhstan";
        q.relation = "capital";
        q.superseded = true;
      }),
      ElementsAre("Nur-Sultan", "Nur-Sultan", "Astana")); // the first one was open once
  EXPECT_THAT(objects([](FactQuery& q) { q.provisional = true; }), IsEmpty());
}

} // namespace
} // namespace errata::editing
