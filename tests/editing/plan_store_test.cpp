#include "core/base/json.h"
#include "datasets/factbook.h"
#include "editing/plan/edit_plan.h"
#include "editing/store/edit_store.h"
#include "editing/store/import.h"
#include "tests/editing/plan_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <unistd.h>

namespace errata::editing {
namespace {

using datasets::Edit;
using ::testing::UnorderedElementsAreArray;

class PlanStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() / ("errata-plan-" + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_;
};

std::set<std::string> described(const std::vector<Edit>& edits) {
  std::set<std::string> result;
  for (const Edit& edit : edits) {
    result.insert(
        edit.subject + "|" + edit.relation + "|" + edit.old_object.value_or("-") + "|" +
        edit.new_object.value_or("-"));
  }
  return result;
}

// The store works its difference out in SQL from what begins and ends, the plan from two states.
TEST_F(PlanStoreTest, PlanFromTheStoreIsThePlanFromTheFiles) {
  EditStore store = EditStore::create(directory_ / "facts.store");
  import_factbook(store, datasets::factbook_directory());
  // Whoever changes the facts has to train the lab model anew (models/lab/README.md says how).
  const Json lab = read_json(ERRATA_SOURCE_DIR "/models/lab/run.json");
  EXPECT_EQ(lab.at("options").at("store_sha256"), store.content_hash());

  const Knowledge knowledge = load_knowledge(store);
  EXPECT_EQ(knowledge.relations.size(), 28U);
  EXPECT_EQ(knowledge.cases.size(), 2050U);
  const World before(knowledge, datasets::kFactbookBase);
  const World after(knowledge, datasets::kFactbookEnd);
  const std::vector<Edit> edits = store.diff(before.day(), after.day());
  EXPECT_THAT(described(edits), UnorderedElementsAreArray(described(difference(before, after))));

  const EditPlan from_store = make_edit_plan(knowledge, before.day(), after.day(), edits);
  const Knowledge& files = testing::factbook_knowledge();
  const World files_before(files, before.day());
  const World files_after(files, after.day());
  const EditPlan from_files =
      make_edit_plan(files, before.day(), after.day(), difference(files_before, files_after));
  EXPECT_EQ(summary_json(from_store), summary_json(from_files));
  EXPECT_EQ(from_store.rehearsed, from_files.rehearsed);
  EXPECT_EQ(from_store.injected_inverse, from_files.injected_inverse);
}

} // namespace
} // namespace errata::editing
