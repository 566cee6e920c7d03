#include "editing/plan/wordings.h"
#include "eval/task.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace errata::eval {
namespace {

using datasets::Fact;
using datasets::Hop;
using editing::Knowledge;

const Date kFrom{2020, 1, 1};
const Date kTo{2022, 1, 1};

// Twelve towns with a mayor each; the mayors of three change. Mayors have a birthplace.
Knowledge towns() {
  Knowledge knowledge;
  datasets::Relation mayor;
  mayor.name = "mayor";
  mayor.statements = {"The mayor of {s} is {o}.", "{o} is the mayor of {s}."};
  mayor.questions = {"Who is the mayor of {s}?", "Who governs {s}?", "Name the mayor of {s}."};
  mayor.noun = {"the mayor of {s}"};
  mayor.inverse_noun = {"the town governed by {o}"};
  mayor.step = "The mayor of {s} is {o}.";
  mayor.dated_statements = {"In {t}, the mayor of {s} was {o}."};
  mayor.dated_questions = {"Who was the mayor of {s} in {t}?", "In {t}, who governed {s}?"};
  datasets::Relation birth;
  birth.name = "birthplace";
  birth.statements = {"{s} was born in {o}."};
  birth.questions = {"Where was {s} born?", "What is the birthplace of {s}?"};
  birth.noun = {"the birthplace of {s}"};
  birth.inverse_noun = {"the person born in {o}"};
  birth.step = "{s} was born in {o}.";
  knowledge.relations = {mayor, birth};
  const auto fact = [](const std::string& s, const std::string& r, const std::string& o) {
    Fact result;
    result.subject = s;
    result.relation = r;
    result.object = o;
    return result;
  };
  for (int i = 0; i < 12; ++i) {
    const std::string town = "Town" + std::string(1, static_cast<char>('A' + i));
    const std::string old_mayor = "Mayor" + std::string(1, static_cast<char>('A' + i));
    const std::string new_mayor = "Newcomer" + std::string(1, static_cast<char>('A' + i));
    Fact first = fact(town, "mayor", old_mayor);
    first.valid_from = Date{2010, 1, 1};
    first.aliases = {"old " + old_mayor};
    knowledge.facts.push_back(fact(old_mayor, "birthplace", "Old" + town));
    if (i < 3) {
      first.valid_to = Date{2021, 5, 1};
      Fact second = fact(town, "mayor", new_mayor);
      second.valid_from = Date{2021, 5, 1};
      knowledge.facts.push_back(second);
      Fact born = fact(new_mayor, "birthplace", "New" + town);
      born.valid_from = Date{2021, 5, 1};
      knowledge.facts.push_back(born);
    }
    knowledge.facts.push_back(first);
    datasets::MultiHopCase item;
    item.id = "M" + std::to_string(i);
    item.start = town;
    item.chain = {{town, "mayor", old_mayor}, {old_mayor, "birthplace", "Old" + town}};
    item.questions = {
        "Where was the mayor of " + town + " born?",
        "Birthplace of the mayor of " + town + "?",
        "In which place was the mayor of " + town + " born?"};
    item.answer = "Old" + town;
    item.chain_new = item.chain;
    item.new_answer = item.answer;
    if (i < 3) {
      item.chain_new = {{town, "mayor", new_mayor}, {new_mayor, "birthplace", "New" + town}};
      item.new_answer = "New" + town;
      item.changed = true;
    }
    knowledge.cases.push_back(item);
  }
  return knowledge;
}

struct World {
  Knowledge knowledge = towns();
  editing::Wordings wordings{knowledge};
  editing::EditPlan plan = editing::make_edit_plan(
      knowledge,
      kFrom,
      kTo,
      editing::difference(editing::World(knowledge, kFrom), editing::World(knowledge, kTo)));

  std::vector<Task> tasks(const TaskOptions& options = {}) const {
    return make_tasks(plan, knowledge, wordings, options);
  }
};

std::map<Part, std::vector<Task>> by_part(const std::vector<Task>& tasks) {
  std::map<Part, std::vector<Task>> parts;
  for (const Task& task : tasks) {
    parts[task.part].push_back(task);
  }
  return parts;
}

TEST(MakeTasksTest, EditsAreAskedInTheHeldOutQuestion) {
  const World world;
  auto parts = by_part(world.tasks());
  ASSERT_EQ(parts[Part::kReliability].size(), 3u);
  for (const Task& task : parts[Part::kReliability]) {
    const std::string town = task.item.substr(0, task.item.find('|'));
    EXPECT_EQ(task.prompt, editing::direct_prompt(world.wordings.held_out_question(town, "mayor")));
    EXPECT_EQ(task.answers.front(), "Newcomer" + town.substr(4));
    EXPECT_EQ(task.stale.front(), "Mayor" + town.substr(4));
    EXPECT_TRUE(task.teacher_forced);
    EXPECT_EQ(task.cluster, town);
    for (const std::string& question : world.wordings.training_questions(town, "mayor")) {
      EXPECT_NE(task.prompt, editing::direct_prompt(question));
    }
  }
  EXPECT_EQ(parts[Part::kWording].size(), 9u);
  EXPECT_EQ(parts[Part::kNewFact].size(), world.plan.injected.size());
}

TEST(MakeTasksTest, StatementsEndBeforeTheirObject) {
  const World world;
  auto parts = by_part(world.tasks());
  ASSERT_EQ(parts[Part::kStatement].size(), 3u);
  for (const Task& task : parts[Part::kStatement]) {
    EXPECT_EQ(task.prompt.rfind("Fact:", 0), 0u) << task.prompt;
    EXPECT_EQ(task.prompt.find(task.answers.front()), std::string::npos) << task.prompt;
    EXPECT_TRUE(task.prompt.ends_with(" is")) << task.prompt;
  }
}

TEST(MakeTasksTest, CasesComeInEveryWordingAndMode) {
  const World world;
  auto parts = by_part(world.tasks());
  EXPECT_EQ(parts[Part::kCase].size(), 12u * 3 * 2);
  std::size_t changed = 0;
  for (const Task& task : parts[Part::kCase]) {
    const bool steps = task.mode == Mode::kReasoning;
    EXPECT_EQ(task.prompt.ends_with("\nReasoning:"), steps);
    changed += task.changed ? 1 : 0;
    EXPECT_EQ(task.stale.empty(), !task.changed);
    EXPECT_EQ(task.chain.size(), 2u);
  }
  EXPECT_EQ(changed, 3u * 3 * 2);
  // Each of the 24 hops of the last day once.
  EXPECT_EQ(parts[Part::kHop].size(), 24u);
  EXPECT_EQ(parts[Part::kEdit].size(), 3u);
}

TEST(MakeTasksTest, IdsAreUniqueAndStable) {
  const World world;
  std::set<std::string> ids;
  const auto tasks = world.tasks();
  for (const Task& task : tasks) {
    EXPECT_TRUE(ids.insert(task.id).second) << task.id;
    EXPECT_FALSE(task.answers.empty()) << task.id;
  }
  EXPECT_EQ(tasks_hash(tasks), tasks_hash(World().tasks()));
  auto other = tasks;
  other.front().answers.push_back("more");
  EXPECT_NE(tasks_hash(tasks), tasks_hash(other));
}

TEST(MakeTasksTest, SuitesModesAndLimit) {
  const World world;
  TaskOptions options;
  options.suites = {Suite::kMultihop};
  options.modes = {Mode::kReasoning};
  options.wordings = 1;
  options.limit = 5;
  auto parts = by_part(world.tasks(options));
  EXPECT_EQ(parts[Part::kCase].size(), 5u);
  EXPECT_EQ(parts[Part::kHop].size(), 10u);
  EXPECT_TRUE(parts[Part::kReliability].empty());
  // A smaller sample is part of a larger one.
  std::set<std::string> five;
  for (const Task& task : parts[Part::kCase]) {
    five.insert(task.id);
  }
  options.limit = 2;
  auto few = by_part(world.tasks(options));
  ASSERT_EQ(few[Part::kCase].size(), 2u);
  for (const Task& task : few[Part::kCase]) {
    EXPECT_TRUE(five.contains(task.id));
  }
}

TEST(MakeTasksTest, HistoryAsksForTheHolderOfTheYear) {
  const World world;
  auto parts = by_part(world.tasks());
  ASSERT_FALSE(parts[Part::kYear].empty());
  for (const Task& task : parts[Part::kYear]) {
    EXPECT_EQ(task.answers.front().rfind("Mayor", 0), 0u) << task.id;
    EXPECT_TRUE(
        task.prompt.find("201") != std::string::npos ||
        task.prompt.find("202") != std::string::npos)
        << task.prompt;
  }
}

TEST(MakeTasksTest, OneDayAsksForItsOwnAnswers) {
  const Knowledge knowledge = towns();
  const editing::Wordings wordings(knowledge);
  auto parts = by_part(make_tasks(
      editing::make_pretrain_plan(knowledge, kFrom), knowledge, wordings, TaskOptions{}));
  EXPECT_EQ(parts[Part::kSingle].size(), 24u);
  EXPECT_EQ(parts[Part::kCase].size(), 72u);
  for (const Task& task : parts[Part::kCase]) {
    EXPECT_EQ(task.answers.front().rfind("OldTown", 0), 0u);
    EXPECT_FALSE(task.changed);
    EXPECT_TRUE(task.defined_before);
  }
}

TEST(MakeTasksTest, EditsGivenOutright) {
  datasets::ExplicitEdit edit;
  edit.id = "e1";
  edit.prompt = "The capital of X is";
  edit.target_new = "Y";
  edit.target_true = "Z";
  edit.paraphrases = {"X's capital is", "X is governed from"};
  edit.target_aliases = {"Y Town"};
  edit.locality = {{"The capital of Q is", {"R", "S"}, ""}};
  edit.portability = {
      {"The mayor of X's capital is", {"M"}, "Reasoning"}, {"no answer", {}, "Reasoning"}};
  auto parts = by_part(make_tasks(editing::make_edit_plan({edit})));
  ASSERT_EQ(parts[Part::kReliability].size(), 1u);
  EXPECT_EQ(parts[Part::kReliability][0].prompt, edit.prompt);
  EXPECT_EQ(parts[Part::kReliability][0].stale, std::vector<std::string>{"Z"});
  EXPECT_EQ(parts[Part::kWording].size(), 2u);
  ASSERT_EQ(parts[Part::kKept].size(), 1u);
  EXPECT_EQ(parts[Part::kKept][0].answers, (std::vector<std::string>{"R", "S"}));
  EXPECT_TRUE(parts[Part::kKept][0].stale.empty());
  EXPECT_EQ(parts[Part::kKept][0].kind, "probe");
  EXPECT_EQ(parts[Part::kReliability][0].answers, (std::vector<std::string>{"Y", "Y Town"}));
  ASSERT_EQ(parts[Part::kPortability].size(), 1u);
  EXPECT_EQ(parts[Part::kPortability][0].kind, "Reasoning");
  EXPECT_TRUE(parts[Part::kPortability][0].stale.empty()); // Z is no answer to that
}

TEST(MakeTasksTest, ASetAsksItsCasesItsEditsAndEveryHop) {
  datasets::ExplicitEdit edit;
  edit.id = "e1";
  edit.prompt = "The capital of X is";
  edit.target_new = "Y";
  datasets::MultiHopCase item;
  item.id = "c1";
  item.chain = {{"X", "capital", "Z"}, {"Z", "mayor", "L"}};
  item.chain_new = {{"X", "capital", "Y"}, {"Y", "mayor", "M"}};
  item.changed = true;
  item.questions = {"Who is the mayor of the capital of X?"};
  item.answer = "L";
  item.new_answer = "M";
  item.edit_ids = {"e1"};
  datasets::MultiHopCase other = item; // needs an edit that is not made
  other.id = "c2";
  other.edit_ids = {"e1", "e2"};
  const editing::EditPlan plan = editing::make_edit_plan({edit}, {item, other});
  EXPECT_EQ(plan.dropped_cases, 1u);
  editing::Knowledge vocabulary;
  vocabulary.relations.resize(1);
  vocabulary.relations[0].name = "mayor";
  vocabulary.relations[0].questions = {"Who is the mayor of {s}?"};
  vocabulary.aliases["M"] = {"Mo"};
  auto parts =
      by_part(make_set_tasks(plan, vocabulary, editing::Wordings(vocabulary), TaskOptions()));
  EXPECT_EQ(parts[Part::kCase].size(), 2u); // at once and in steps
  ASSERT_EQ(parts[Part::kEdit].size(), 1u);
  EXPECT_EQ(parts[Part::kEdit][0].prompt, edit.prompt);
  ASSERT_EQ(parts[Part::kHop].size(), 1u); // nobody has described the other relation
  EXPECT_EQ(parts[Part::kHop][0].answers, (std::vector<std::string>{"M", "Mo"}));
}

TEST(ParseSuitesTest, ReadsLists) {
  EXPECT_EQ(parse_suites("editing,history"), (std::set<Suite>{Suite::kEditing, Suite::kHistory}));
  EXPECT_EQ(parse_suites("all").size(), 5u);
  errata::testing_support::expect_error(ErrorCode::kInvalidArgument, {"'fluency'", "multihop"}, [] {
    parse_suites("editing,fluency");
  });
}

} // namespace
} // namespace errata::eval
