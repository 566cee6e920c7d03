#include "eval/measure.h"

#include "tests/eval/eval_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace errata::eval {
namespace {

using eval_testing::Script;
using eval_testing::tally;
using testing::Pair;

TEST(JudgeTest, OnlyAFinishedRightAnswerIsRight) {
  Script script;
  const Task task = script.add(Part::kReliability, "a", "", "");
  const Protocol protocol;
  EXPECT_TRUE(judge(task, {" New.", Ending::kEos, {}}, protocol).right);
  EXPECT_FALSE(judge(task, {" New.", Ending::kEos, {}}, protocol).exact);
  EXPECT_FALSE(judge(task, {" newer", Ending::kEos, {}}, protocol).right);
  EXPECT_FALSE(judge(task, {"", Ending::kEos, {}}, protocol).right);
  const Verdict old = judge(task, {" old", Ending::kEos, {}}, protocol);
  EXPECT_FALSE(old.right);
  EXPECT_TRUE(old.stale);
}

TEST(JudgeTest, CutOffTextHasNoAnswerUnderNaturalStop) {
  Script script;
  const Task task = script.add(Part::kReliability, "a", "", "");
  Protocol protocol;
  const Output endless{" new", Ending::kLength, {}};
  EXPECT_FALSE(judge(task, endless, protocol).right);
  EXPECT_TRUE(judge(task, endless, protocol).contains);
  protocol.stop = StopRule::kErrata;
  EXPECT_TRUE(judge(task, endless, protocol).right);
}

TEST(JudgeTest, ReasoningIsJudgedByItsAnswer) {
  Script script;
  const Task task = script.add_case("a", 0, "", "");
  const auto verdict = [&](const std::string& text) {
    return judge(task, {text, Ending::kEos, {}}, {});
  };
  EXPECT_FALSE(verdict(" It is new.").right); // never says so after the mark
  EXPECT_FALSE(verdict(" new\nAnswer: old").right);
  EXPECT_TRUE(verdict(" old\nAnswer: new").right);
  EXPECT_FALSE(verdict(" old\nAnswer: new").hops_right);
  EXPECT_TRUE(verdict(" To the Middle, to new.\nAnswer: new").hops_right);
  EXPECT_FALSE(verdict(" To the Middle.\nAnswer: old").hops_right);
}

TEST(MeasureTest, EditingByHand) {
  Script script;
  script.add(Part::kReliability, "a", "old", "new");
  script.add(Part::kReliability, "b", "old", "old");
  script.add(Part::kReliability, "c", "other", "other");
  // a: 2 of 3 wordings, b: 0 of 1. The mean of edits is 1/3, that of wordings would be 1/2.
  script.add(Part::kWording, "a", "old", "new");
  script.add(Part::kWording, "a", "old", "new");
  script.add(Part::kWording, "a", "old", "old");
  script.add(Part::kWording, "b", "old", "old");
  script.add(Part::kNewFact, "d", "?", "new");
  script.add(Part::kNewInverse, "e", "?", "wrong");
  script.add(Part::kStatement, "a", "?", "New.");
  script.add(Part::kPortability, "a", "old", "new");
  script.add(Part::kPortability, "a", "old", "old");
  script.add(Part::kPortability, "b", "old", "new").kind = "Reasoning";
  script.evaluation.after[0].teacher_forced = TeacherForced{0.5, false, 1.0, false};
  script.evaluation.after[1].teacher_forced = TeacherForced{1.0, true, 0.1, false};
  const auto after = script.after();
  EXPECT_THAT(tally(after, "editing.reliability"), Pair(1, 3));
  EXPECT_THAT(tally(after, "editing.stale"), Pair(1, 3));
  EXPECT_THAT(tally(script.before(), "editing.stale"), Pair(2, 3));
  const auto [sum, edits] = tally(after, "editing.generalisation");
  EXPECT_NEAR(sum, 2.0 / 3, 1e-12);
  EXPECT_EQ(edits, 2u);
  EXPECT_THAT(tally(after, "editing.portability"), Pair(1.5, 2)); // a: half, b: all
  EXPECT_THAT(tally(after, "editing.portability_by_kind.Reasoning"), Pair(1, 1));
  EXPECT_THAT(tally(after, "editing.new_facts"), Pair(1, 1));
  EXPECT_THAT(tally(after, "editing.new_inverse"), Pair(0, 1));
  EXPECT_THAT(tally(after, "editing.statement"), Pair(1, 1));
  EXPECT_THAT(tally(after, "editing.teacher_forced.reliability"), Pair(1, 2));
  EXPECT_THAT(tally(after, "editing.teacher_forced.token_accuracy"), Pair(1.5, 2));
}

TEST(MeasureTest, LocalityKnowsSameFromRight) {
  Script script;
  script.add(Part::kKept, "stays right", "new", "New").kind = "other";
  script.add(Part::kKept, "breaks", "new", "else").kind = "same_subject";
  script.add(Part::kKept, "stays wrong", "wrong", "wrong").kind = "other";
  script.add(Part::kKept, "becomes right", "wrong", "new").kind = "other";
  script.add(Part::kRehearsed, "rehearsed", "new", "new").kind = "forward";
  const auto after = script.after();
  EXPECT_THAT(tally(after, "locality.same"), Pair(2, 4));
  EXPECT_THAT(tally(after, "locality.right"), Pair(2, 4));
  EXPECT_THAT(tally(after, "locality.kept_correct"), Pair(1, 2));
  EXPECT_THAT(tally(after, "locality.by_kind.other.right"), Pair(2, 3));
  EXPECT_THAT(tally(after, "locality.by_kind.same_subject.same"), Pair(0, 1));
  EXPECT_THAT(tally(after, "locality.rehearsed.right"), Pair(1, 1));
  EXPECT_THAT(tally(script.before(), "locality.same"), Pair(4, 4));
}

TEST(MeasureTest, TwoUnfinishedAnswersAreNotTheSame) {
  Script script;
  script.add(Part::kKept, "a", "la la", "la la").kind = "other";
  script.evaluation.before[0].ending = Ending::kLength;
  script.evaluation.after[0].ending = Ending::kLength;
  EXPECT_THAT(tally(script.after(), "locality.same"), Pair(0, 1));
}

TEST(MeasureTest, MultihopByHand) {
  Script script;
  const auto three = [&](const std::string& item, const char* a, const char* b, const char* c) {
    int wording = 0;
    for (const char* answer : {a, b, c}) {
      script.add_case(item, wording++, "old", answer).kind = item == "one" ? "last" : "first";
    }
  };
  three("one", "new", "new", "new");
  three("two", "old", "new", "x");
  three("three", "x", "x", "x");
  script.add_case("undefined", 0, "new", "new").defined_before = false;
  script.evaluation.tasks.back().stale.clear();
  Task& unchanged = script.add_case("same", 0, "new", "x");
  unchanged.changed = false;
  unchanged.stale.clear();
  const auto after = script.after();
  EXPECT_THAT(tally(after, "multihop.changed.cot"), Pair(2, 4));
  EXPECT_THAT(tally(after, "multihop.unchanged.cot"), Pair(0, 1));
  EXPECT_THAT(tally(after, "multihop.changed.direct"), Pair(0, 0));
  EXPECT_THAT(tally(after, "multihop.stale.cot"), Pair(1, 3));
  EXPECT_THAT(tally(after, "multihop.base_undefined.cot"), Pair(1, 1));
  EXPECT_THAT(tally(after, "multihop.any_of_three.changed.cot"), Pair(2, 3));
  EXPECT_THAT(tally(after, "multihop.all_of_three.changed.cot"), Pair(1, 3));
  EXPECT_NEAR(tally(after, "multihop.mean_of_three.changed.cot").first, 4.0 / 3, 1e-12);
  EXPECT_THAT(tally(after, "multihop.by_edited_hop.last.cot"), Pair(1, 1));
  EXPECT_THAT(tally(after, "multihop.by_edited_hop.first.cot"), Pair(0, 2));
  EXPECT_THAT(tally(after, "multihop.by_hops.2.changed.cot"), Pair(2, 4));
  // The first day's answers: three changed cases and the unchanged one are defined there.
  EXPECT_THAT(tally(script.before(), "multihop.pre_edit.cot"), Pair(4, 4));
  EXPECT_THAT(tally(after, "multihop.pre_edit.cot"), Pair(1, 4));
}

TEST(MeasureTest, InstanceWiseNeedsEveryHop) {
  Script script;
  script.add_case("known", 0, "old", "old");
  Task& other = script.add_case("half", 0, "old", "new");
  other.chain = {{"start", "to", "middle"}, {"unknown", "to", "new"}};
  script.add(Part::kHop, "start|to", "new", "new");
  script.add(Part::kHop, "middle|to", "old", "new");
  script.add(Part::kHop, "unknown|to", "new", "wrong");
  script.add(Part::kEdit, "middle|to", "old", "new");
  EXPECT_THAT(tally(script.after(), "multihop.instance_wise"), Pair(1, 2));
  EXPECT_THAT(tally(script.before(), "multihop.instance_wise"), Pair(1, 2)); // "half" before
  EXPECT_THAT(tally(script.after(), "multihop.edit_wise"), Pair(1, 1));
  EXPECT_THAT(tally(script.before(), "multihop.edit_wise"), Pair(0, 1));
}

TEST(MeasureTest, HistoryAndFacts) {
  Script script;
  script.add(Part::kYear, "a|2015", "new", "new").changed = true;
  script.add(Part::kYear, "b|2015", "new", "x").kind = "held_out";
  script.add(Part::kSingle, "s", "new", "x");
  script.add(Part::kInverse, "i", "x", "new");
  const auto after = script.after();
  EXPECT_THAT(tally(after, "history.right"), Pair(1, 2));
  EXPECT_THAT(tally(after, "history.edited"), Pair(1, 1));
  EXPECT_THAT(tally(after, "history.not_edited"), Pair(0, 1));
  EXPECT_THAT(tally(after, "history.held_out"), Pair(0, 1));
  EXPECT_THAT(tally(after, "facts.single"), Pair(0, 1));
  EXPECT_THAT(tally(after, "facts.inverse"), Pair(1, 1));
}

} // namespace
} // namespace errata::eval
