#include "editing/plan/edit_plan.h"
#include "editing/plan/leave_out.h"
#include "tests/editing/facts.h"

#include <gmock/gmock.h>

namespace errata::editing {
namespace {

using datasets::Edit;
using ::testing::ElementsAre;

/// Italy changes its leader twice, France once; who leads is known both ways round.
Knowledge two_countries() {
  Knowledge world;
  for (const char* name : {"led_by", "leads", "home", "borders"}) {
    datasets::Relation relation;
    relation.name = name;
    world.relations.push_back(relation);
  }
  world.relations[0].inverse = "leads";
  world.relations[1].inverse = "led_by";
  world.relations[3].functional = false;
  world.facts = {
      fact("Italy", "led_by", "Ann", "2018", "2021-06"),
      fact("Italy", "led_by", "Bob", "2021-06", "2022-06"),
      fact("Italy", "led_by", "Cid", "2022-06"),
      fact("Ann", "leads", "Italy", "2018", "2021-06"),
      fact("Bob", "leads", "Italy", "2021-06", "2022-06"),
      fact("Cid", "leads", "Italy", "2022-06"),
      fact("France", "led_by", "Dot", "2010", "2022"),
      fact("France", "led_by", "Eve", "2022"),
      fact("Dot", "leads", "France", "2010", "2022"),
      fact("Eve", "leads", "France", "2022"),
      fact("Cid", "home", "Rome", "2022-06"),
      fact("Italy", "borders", "France", "2022"),
      fact("Italy", "borders", "Malta", "2022")};
  return world;
}

std::vector<std::string> described(const std::vector<Edit>& edits) {
  std::vector<std::string> lines;
  for (const Edit& edit : edits) {
    lines.push_back(
        edit.subject + " " + edit.relation + " " + edit.old_object.value_or("-") + " " +
        edit.new_object.value_or("-"));
  }
  return lines;
}

class LeaveOutTest : public ::testing::Test {
 protected:
  std::vector<Edit> edits(const Date& from, const Date& to) const {
    return difference(World(world_, from), World(world_, to));
  }
  std::string id_of(const std::string& line) const {
    for (const Edit& edit : edits(from_, to_)) {
      if (described({edit}).front() == line) {
        return edit.id;
      }
    }
    ADD_FAILURE() << line;
    return {};
  }

  Knowledge world_ = two_countries();
  Date from_ = parse_date("2021-01-31");
  Date to_ = parse_date("2023-01-01");
};

TEST_F(LeaveOutTest, ASlotStaysAsItWasBothWaysRound) {
  const std::vector<Edit> all = edits(from_, to_);
  const LeftOut left_out(world_, all, {id_of("Italy led_by Ann Cid")});
  const std::vector<std::string> expected = {
      "Italy borders - France",
      "Italy borders - Malta",
      "Cid home - Rome",
      "Dot leads France -",
      "Eve leads - France",
      "France led_by Dot Eve"};
  EXPECT_EQ(described(left_out.rest(all)), expected);
  left_out.hold_still(world_, from_);
  // The knowledge alone says the same, and on each day between.
  EXPECT_EQ(described(edits(from_, to_)), expected);
  const World between(world_, parse_date("2021-12-01"));
  EXPECT_EQ(between.forward("Italy", "led_by"), "Ann");
  EXPECT_EQ(between.forward("Ann", "leads"), "Italy");
  EXPECT_EQ(between.forward("Bob", "leads"), std::nullopt);
}

TEST_F(LeaveOutTest, EditsOfBatchesBetweenAreConcernedToo) {
  const Date middle = parse_date("2021-12-01");
  const auto first = edits(from_, middle); // Ann to Bob: another id than Ann to Cid
  const LeftOut left_out(world_, edits(from_, to_), {id_of("Italy led_by Ann Cid")});
  EXPECT_THAT(left_out.rest(first), ::testing::IsEmpty());
}

TEST_F(LeaveOutTest, OneOfManyValuesGoesAlone) {
  const std::vector<Edit> all = edits(from_, to_);
  const LeftOut left_out(world_, all, {id_of("Italy borders - Malta")});
  EXPECT_EQ(left_out.rest(all).size(), all.size() - 1);
  left_out.hold_still(world_, from_);
  EXPECT_EQ(described(edits(from_, to_)).size(), all.size() - 1);
}

TEST_F(LeaveOutTest, UnknownIdsLeaveNothingOut) {
  const LeftOut left_out(world_, edits(from_, to_), {"e-none"});
  EXPECT_TRUE(left_out.empty());
  EXPECT_EQ(left_out.rest(edits(from_, to_)).size(), edits(from_, to_).size());
}

} // namespace
} // namespace errata::editing
