// Stores of every schema version that there has been are opened, upgraded and lose nothing. The
// files are what the program of that time wrote; the hash is what it gave for them.

#include "core/base/files.h"
#include "editing/store/schema.h"
#include "tests/editing/store/store_fixture.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <chrono>
#include <future>

namespace errata::editing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Released {
  int schema;
  const char* content_hash;
};

// One entry a version, the current one left out: tests that make a store test that.
constexpr Released kReleased[] = {
    {1, "5b9c0a70db8ca21f730dfdb28a7b222d7415dfcf89b73ba795106242f4bf97ba"}};
static_assert(std::size(kReleased) == kSchemaVersion - 1, "a version without a file of its time");

class MigrationTest : public StoreTest {
 protected:
  static std::filesystem::path golden(int schema, const char* ending) {
    return std::filesystem::path(ERRATA_SOURCE_DIR) / "tests/editing/store" /
           ("schema_" + std::to_string(schema) + ending);
  }

  void make_old_store(int schema) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file("old").c_str(), &database), SQLITE_OK);
    const std::string sql = read_file(golden(schema, ".sql")) +
                            "PRAGMA application_id = " + std::to_string(kApplicationId) +
                            "; PRAGMA user_version = " + std::to_string(schema) +
                            "; PRAGMA journal_mode = WAL;";
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(database);
  }

  static void expect_content(const EditStore& store, const Released& version) {
    EXPECT_THAT(store.verify(), IsEmpty());
    EXPECT_EQ(store.content_hash(), version.content_hash);
    const Statistics statistics = store.statistics();
    EXPECT_EQ(statistics.changes, 9);
    EXPECT_EQ(statistics.versions, 7);
    EXPECT_EQ(statistics.facts, 6);
    EXPECT_EQ(store.explicit_edits("march").at(0).locality.at(0).answers.size(), 2U);
    EXPECT_EQ(store.multi_hop("own").size(), 1U);
    EXPECT_EQ(store.runs().at(0).seed, UINT64_MAX);
    EXPECT_THAT(store.blame("Kazakhstan", "capital").at(1).runs, ElementsAre("run-1"));
    EXPECT_THAT(store.blame("Italy", "capital").at(0).fact.superseded, 7);
    EXPECT_EQ(store.resolve("Roma"), "Rome");
    EXPECT_EQ(store.diff(parse_date("2021"), parse_date("2023")).size(), 1U);
  }
};

TEST_F(MigrationTest, FilesOfEveryVersionAreUpgraded) {
  for (const Released& version : kReleased) {
    SCOPED_TRACE(version.schema);
    make_old_store(version.schema);
    expect_content(EditStore::open(file("old")), version);
    // Upgraded once; the second time it is opened it is a store of today.
    EditStore store = EditStore::open(file("old"));
    expect_content(store, version);
    store.add(fact("Burma", "capital", "Yangon", "", "2005-11-06"));
    EXPECT_THAT(store.verify(), IsEmpty());
    std::filesystem::remove(file("old"));
  }
}

TEST_F(MigrationTest, DumpsOfEveryVersionAreRestored) {
  for (const Released& version : kReleased) {
    SCOPED_TRACE(version.schema);
    const EditStore store = EditStore::restore(golden(version.schema, ".jsonl"), file("restored"));
    expect_content(store, version);
    store.dump(file("dump"));
    const EditStore again = EditStore::restore(file("dump"), file("again"));
    again.dump(file("second"));
    EXPECT_EQ(read_file(file("dump")), read_file(file("second")));
    std::filesystem::remove(file("restored"));
    std::filesystem::remove(file("again"));
  }
}

// The first schema knew neither portability and generation prompts nor names of the target, and no
// criteria. What it had is kept, what it did not know can be added, and both come back.
TEST_F(MigrationTest, EditsOfTheFirstSchemaTakeWhatTheSecondKnows) {
  make_old_store(1);
  EditStore store = EditStore::open(file("old"));
  const datasets::ExplicitEdit old = *store.explicit_edit("march", "x1");
  EXPECT_THAT(old.paraphrases, ElementsAre("Kazakhstan's capital:"));
  EXPECT_THAT(
      old.locality, ElementsAre(datasets::Probe{"The capital of Italy is", {"Rome", "Roma"}, ""}));
  EXPECT_THAT(old.portability, IsEmpty());
  EXPECT_THAT(old.generation, IsEmpty());
  EXPECT_THAT(old.target_aliases, IsEmpty());

  datasets::ExplicitEdit more = old;
  more.locality[0].kind = "Forgetfulness";
  more.portability = {
      {"Where does Kazakhstan's president work?", {"Astana", "Aqmola"}, "Reasoning"}};
  more.generation = {"Kazakhstan is known for"};
  more.target_aliases = {"Aqmola"};
  EXPECT_EQ(store.put_edits("march", {&more, 1}), (SetChange{0, 1}));
  EXPECT_EQ(store.put_edits("march", {&more, 1}), SetChange());
  EXPECT_THAT(store.verify(), IsEmpty());
  EXPECT_EQ(*EditStore::open(file("old")).explicit_edit("march", "x1"), more);
  EXPECT_EQ(store.statistics().edits, 1);
}

// Both openers read the old version while another writer holds the file, so that the second one
// must find under the lock that the first has upgraded it.
TEST_F(MigrationTest, TwoOpenersUpgradeOnce) {
  make_old_store(1);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file("old").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto open = [&] { return EditStore::open(file("old")).content_hash(); };
  auto first = std::async(std::launch::async, open);
  auto second = std::async(std::launch::async, open);
  EXPECT_EQ(first.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  EXPECT_EQ(second.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_EQ(first.get(), second.get());
  EXPECT_THAT(EditStore::open(file("old")).verify(), IsEmpty());
}

} // namespace
} // namespace errata::editing
