#include "cli/sweep_plan.h"

#include "core/base/files.h"
#include "editing/plan/edit_documents.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata::cli {
namespace {

using testing_support::expect_error;

class SweepPlanTest : public testing::Test {
 protected:
  SweepPlan read(const std::string& text, const std::map<std::string, std::string>& given = {}) {
    write_file(directory_ / "plan.json", text);
    return read_sweep_plan(directory_ / "plan.json", given);
  }

  // A plan that is right but for its rows.
  static std::string with_rows(const std::string& rows) {
    return R"({"defaults": {"model": "M", "store": "S"}, "rows": )" + rows + "}";
  }

  void refused(const std::string& text, const std::vector<std::string>& parts, ErrorCode code) {
    std::vector<std::string> all = parts;
    all.emplace_back("plan.json");
    expect_error(code, all, [&] { read(text); });
  }

  void refused(const std::string& text, const std::vector<std::string>& parts) {
    refused(text, parts, ErrorCode::kInvalidArgument);
  }

  testing_support::TemporaryDirectory directory_;
};

TEST_F(SweepPlanTest, RowsStandOnDefaultsAndTheCommandLineOnBoth) {
  const SweepPlan plan = read(
      R"({"defaults": {"model": "M", "store": "S", "steps": 30, "prompting": ["cot"]},
          "seeds": [4, 7], "folds": [1, 2],
          "rows": [{"name": "plain"},
                   {"name": "other", "options": {"method": "ft", "steps": 20, "lr": 0.5}}]})",
      {{"model", "given"}});
  ASSERT_EQ(plan.rows.size(), 2u);
  EXPECT_EQ(plan.rows[0].name, "plain");
  EXPECT_EQ(plan.rows[0].options.model, "given");
  EXPECT_EQ(plan.rows[0].options.store, "S");
  EXPECT_EQ(plan.rows[0].options.editor.steps, 30);
  EXPECT_EQ(plan.rows[0].options.questions.prompting, std::vector<std::string>{"cot"});
  EXPECT_EQ(plan.rows[1].options.editor.method, "ft");
  EXPECT_EQ(plan.rows[1].options.editor.steps, 20);
  EXPECT_EQ(plan.rows[1].options.editor.lr, 0.5);
  ASSERT_EQ(plan.repeats.size(), 2u);
  EXPECT_EQ(plan.repeats[1].seed, 7u);
  EXPECT_EQ(plan.repeats[1].fold, 2u);
}

TEST_F(SweepPlanTest, OneSeedAndTheFoldOfTheDefaultsWithoutLists) {
  const SweepPlan plan =
      read(R"({"defaults": {"model": "M", "fold": 3}, "rows": [{"name": "a"}]})");
  ASSERT_EQ(plan.repeats.size(), 1u);
  EXPECT_EQ(plan.repeats[0].seed, 0u);
  EXPECT_EQ(plan.repeats[0].fold, 3u);
}

TEST_F(SweepPlanTest, AGridIsOneRowForEachCombination) {
  SweepPlan plan = read(with_rows(
      R"([{"name": "lora", "options": {"steps": 9}, "grid": {"rank": [8, 16], "lr": [0.01, 0.1]}},
          {"name": "lorax"}])"));
  std::vector<std::string> names;
  for (const SweepPlan::Row& row : plan.rows) {
    names.push_back(row.name);
  }
  EXPECT_EQ(
      names,
      (std::vector<std::string>{
          "lora lr=0.01 rank=8",
          "lora lr=0.01 rank=16",
          "lora lr=0.1 rank=8",
          "lora lr=0.1 rank=16",
          "lorax"}));
  EXPECT_EQ(plan.rows[1].options.editor.rank, 16);
  EXPECT_EQ(plan.rows[1].options.editor.lr, 0.01);
  EXPECT_EQ(plan.rows[1].options.editor.steps, 9);

  expect_error(
      ErrorCode::kInvalidArgument, {"--only", "'lorra'"}, [&] { keep_rows(plan, {"lorra"}); });
  keep_rows(plan, {"lora"});
  EXPECT_EQ(plan.rows.size(), 4u);
  keep_rows(plan, {"lora lr=0.1 rank=8"});
  EXPECT_EQ(plan.rows.size(), 1u);
}

TEST_F(SweepPlanTest, BadInputIsNamed) {
  refused("{\"rows\": [", {}, ErrorCode::kCorrupt);
  refused("[]", {"object"}, ErrorCode::kCorrupt);
  refused(R"({"defaults": {}})", {"'rows'", "missing"});
  refused(with_rows("[]"), {"'rows'", "empty"});
  refused(with_rows("{}"), {"'rows'", "list"}, ErrorCode::kCorrupt);
  refused(with_rows(R"([{}])"), {"row 1", "'name'"}, ErrorCode::kCorrupt);
  refused(with_rows(R"([{"name": "a"}, {"name": "a"}])"), {"row 'a'", "twice"});
  refused(with_rows(R"([{"name": "a/b"}])"), {"'a/b'", "folder"});
  refused(with_rows(R"([{"name": "before"}])"), {"untouched base"});
  refused(with_rows(R"([{"name": "a", "optoins": {}}])"), {"row 'a'", "optoins", "options"});
  refused(with_rows(R"([{"name": "a", "grid": {"rank": []}}])"), {"row 'a'", "'rank'", "empty"});
  refused(
      with_rows(R"([{"name": "a", "options": {"rank": 1}, "grid": {"rank": [2]}}])"),
      {"row 'a'", "'rank'", "once"});
  refused(R"({"rows": [{"name": "a"}]})", {"row 'a'", "--model"});
}

TEST_F(SweepPlanTest, OptionsAreThoseOfEditBatch) {
  refused(
      with_rows(R"([{"name": "a", "options": {"stepz": 3}}])"), {"row 'a'", "stepz", "'steps'"});
  refused(with_rows(R"([{"name": "a", "options": {"steps": "many"}}])"), {"row 'a'", "steps"});
  refused(with_rows(R"([{"name": "a", "options": {"rehearsal-ratio": 1000}}])"), {"row 'a'"});
  refused(with_rows(R"([{"name": "a", "options": {"out": "x"}}])"), {"'out'", "sweep"});
  refused(with_rows(R"([{"name": "a", "options": {"seed": 1}}])"), {"'seed'", "'seeds'"});
  refused(with_rows(R"([{"name": "a", "options": {"store": "T"}}])"), {"'store'", "defaults"});
  refused(with_rows(R"([{"name": "a", "options": {"help": true}}])"), {"unknown key 'help'"});
}

TEST_F(SweepPlanTest, SeedsAndFoldsGoInPairs) {
  const auto with = [](const std::string& fields) {
    return R"({"defaults": {"model": "M", "store": "S"}, "rows": [{"name": "a"}], )" + fields + "}";
  };
  refused(with(R"("seeds": [])"), {"'seeds'", "empty"});
  refused(with(R"("seeds": [1, 1])"), {"'seeds'", "twice"});
  refused(with(R"("seeds": [-1])"), {"'seeds'", "-1"}, ErrorCode::kCorrupt);
  refused(with(R"("seeds": [1, 2], "folds": [0])"), {"2 seeds and 1 folds"});
  refused(
      R"({"defaults": {"model": "M", "fold": 1}, "folds": [0], "rows": [{"name": "a"}]})",
      {"'folds'", "'fold'"});
}

TEST_F(SweepPlanTest, TheCommittedPlansAreRight) {
  const std::filesystem::path folder = ERRATA_SOURCE_DIR "/tests/bench/sweeps";
  for (const char* name : {"default.json", "tuning.json"}) {
    const SweepPlan plan = read_sweep_plan(folder / name, {{"model", "M"}, {"store", "S"}});
    for (const SweepPlan::Row& row : plan.rows) {
      resolve(row.options.editor, 0, false); // throws for what training would refuse
      if (!row.options.augment.empty()) {
        const auto augment = editing::parse_augment(row.options.augment);
        EXPECT_EQ(augment.is_none(), row.name == "naive lora") << row.name;
      }
    }
  }
  EXPECT_TRUE(read_sweep_plan(folder / "tuning.json", {{"model", "M"}})
                  .rows.front()
                  .options.questions.development);
}

} // namespace
} // namespace errata::cli
