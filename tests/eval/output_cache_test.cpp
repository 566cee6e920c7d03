#include "core/base/files.h"
#include "eval/outputs.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata::eval {
namespace {

Task task(const std::string& prompt, Mode mode = Mode::kDirect) {
  Task result;
  result.prompt = prompt;
  result.mode = mode;
  result.answers = {"x"};
  return result;
}

TEST(OutputCacheTest, ReadsBackWhatItWrote) {
  const testing_support::TemporaryDirectory directory;
  Task scored = task("b");
  scored.teacher_forced = true;
  {
    OutputCache cache(directory / "before.jsonl", "key");
    cache.insert(task("a\n\"quoted\""), {" Zürich\n", Ending::kStop, {}});
    cache.insert(scored, {"text", Ending::kEos, TeacherForced{0.25, false, 1.5, true}});
    cache.save();
  }
  const OutputCache cache(directory / "before.jsonl", "key");
  EXPECT_EQ(cache.size(), 2u);
  ASSERT_NE(cache.find(task("a\n\"quoted\"")), nullptr);
  EXPECT_EQ(cache.find(task("a\n\"quoted\""))->text, " Zürich\n");
  EXPECT_EQ(cache.find(task("a\n\"quoted\""))->ending, Ending::kStop);
  ASSERT_NE(cache.find(scored), nullptr);
  EXPECT_EQ(cache.find(scored)->teacher_forced->tokens, 0.25);
  EXPECT_TRUE(cache.find(scored)->teacher_forced->boundary_merge);
  // Another mode and an answer that was not scored are other outputs.
  EXPECT_EQ(cache.find(task("a\n\"quoted\"", Mode::kReasoning)), nullptr);
  EXPECT_EQ(cache.find(task("b")), nullptr);
}

TEST(OutputCacheTest, AnotherModelStartsAnew) {
  const testing_support::TemporaryDirectory directory;
  {
    OutputCache cache(directory / "before.jsonl", "one model");
    cache.insert(task("a"), {"text", Ending::kEos, {}});
    cache.save();
  }
  EXPECT_EQ(OutputCache(directory / "before.jsonl", "another").size(), 0u);
  EXPECT_EQ(OutputCache(directory / "before.jsonl", "one model").size(), 1u);
}

TEST(OutputCacheTest, DamageIsNamed) {
  const testing_support::TemporaryDirectory directory;
  write_file(
      directory / "before.jsonl",
      "{\"key\": \"k\"}\n{\"task\": \"t\", \"text\": \"x\", \"ending\": \"never\"}\n");
  testing_support::expect_error(ErrorCode::kCorrupt, {"before.jsonl:2", "ending", "never"}, [&] {
    OutputCache(directory / "before.jsonl", "k");
  });
}

} // namespace
} // namespace errata::eval
