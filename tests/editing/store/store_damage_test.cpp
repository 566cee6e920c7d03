#include "core/base/files.h"
#include "tests/editing/store/store_fixture.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <filesystem>

namespace errata::editing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::expect_error;

// Full disks, foreign files and damaged stores.
class StoreDamageTest : public StoreTest {
 protected:
  // Runs SQL behind the store's back.
  void tamper(const std::string& name, const std::string& sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file(name).c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  }
};

TEST_F(StoreDamageTest, FullDiskLeavesTheStoreAsItWas) {
  make();
  const std::string before = EditStore::open(file("s")).content_hash();
  StoreOptions small;
  small.max_pages = 100;
  {
    EditStore store = EditStore::open(file("s"), small);
    const EditStore::Change change = store.begin("import");
    expect_error(ErrorCode::kIo, {file("s").string(), "full"}, [&] {
      for (int i = 0; i < 100'000; ++i) {
        store.add(fact("subject " + std::to_string(i), "capital", std::string(500, 'x')));
      }
    });
  }
  EditStore store = EditStore::open(file("s"));
  EXPECT_EQ(store.content_hash(), before);
  EXPECT_TRUE(store.verify().empty());
  store.add(fact("A", "capital", "x"));
  set_disk_limit_for_testing(100);
  expect_error(ErrorCode::kIo, {"d"}, [&] { store.dump(file("d")); });
  set_disk_limit_for_testing(-1);
  EXPECT_FALSE(std::filesystem::exists(file("d")));
}

TEST_F(StoreDamageTest, WrongFilesAreNamed) {
  expect_error(ErrorCode::kNotFound, {"missing", "errata store init"}, [&] {
    EditStore::open(file("missing"));
  });
  expect_error(
      ErrorCode::kNotFound, {"no-folder"}, [&] { EditStore::create(file("no-folder") / "s"); });
  std::filesystem::create_directory(file("folder"));
  expect_error(ErrorCode::kCorrupt, {"folder"}, [&] { EditStore::open(file("folder")); });
  write_file(file("empty"), "");
  expect_error(ErrorCode::kCorrupt, {"empty"}, [&] { EditStore::open(file("empty")); });
  write_file(file("text"), std::string(5000, 'x'));
  expect_error(
      ErrorCode::kCorrupt, {"text", "not an SQLite file"}, [&] { EditStore::open(file("text")); });
  tamper("foreign", "CREATE TABLE t (x)");
  expect_error(ErrorCode::kCorrupt, {"foreign", "not an edit store"}, [&] {
    EditStore::open(file("foreign"));
  });
  make("newer");
  tamper("newer", "PRAGMA user_version = 99");
  expect_error(
      ErrorCode::kUnsupported, {"newer", "version 99"}, [&] { EditStore::open(file("newer")); });
  make();
  expect_error(ErrorCode::kInvalidArgument, {"exists"}, [&] { EditStore::create(file("s")); });
}

TEST_F(StoreDamageTest, VerifyFindsWhatWasTamperedWith) {
  const auto faults_after = [&](const std::string& name, const std::string& sql) {
    {
      EditStore store = make(name);
      store.add(fact("A", "capital", "x", "2020"));
      store.add(fact("A", "capital", "y", "2022"));
      datasets::ExplicitEdit edit;
      edit.id = "e";
      edit.prompt = "p";
      edit.target_new = "t";
      edit.target_aliases = {"u"};
      edit.locality = {{"q", {"a", "b"}, ""}};
      store.put_edits("set", {&edit, 1});
      EXPECT_TRUE(store.verify().empty());
    }
    tamper(name, sql);
    return EditStore::open(file(name)).verify();
  };
  EXPECT_THAT(
      faults_after("a", "UPDATE facts SET from_day = from_day + 1"),
      Contains(HasSubstr("from_day")));
  EXPECT_THAT(
      faults_after(
          "b",
          "UPDATE facts SET superseded = NULL, superseded_by = NULL, "
          "from_day = from_day - 365 WHERE id = 1"),
      Contains(HasSubstr("from_day")));
  EXPECT_THAT(
      faults_after("c", "UPDATE facts SET valid_to = NULL, to_day = NULL"),
      Contains(HasSubstr("neither stated")));
  EXPECT_THAT(
      faults_after("d", "UPDATE facts SET object = 999 WHERE id = 2"),
      Contains(HasSubstr("missing row of entities")));
  EXPECT_THAT(
      faults_after("e", "UPDATE relations SET inverse = 'gone' WHERE id = 1"),
      Contains(HasSubstr("inverse")));
  EXPECT_THAT(
      faults_after("f", "UPDATE edit_aliases SET position = 1"),
      Contains(HasSubstr("names of the target")));
  EXPECT_THAT(
      faults_after("g", "UPDATE probes SET position = 1"),
      Contains(HasSubstr("prompts of a kind")));
  EXPECT_THAT(
      faults_after("h", "DELETE FROM probe_answers WHERE position = 0"),
      Contains(HasSubstr("prompt whose answers")));
}

TEST_F(StoreDamageTest, ATextThatIsNotUtf8IsDamage) {
  {
    EditStore store = make();
    datasets::MultiHopCase item;
    item.id = "m1";
    item.chain_new = {{"Rome", "borders", "France"}};
    item.questions = {"Which?"};
    store.put_multi_hop("mine", {&item, 1});
  }
  tamper("s", "UPDATE case_hops SET object = CAST(x'C3' AS TEXT)");
  const EditStore store = EditStore::open(file("s"));
  EXPECT_THAT(store.verify(), ElementsAre(HasSubstr("case_hops, row 1: object")));
  expect_error(ErrorCode::kCorrupt, {"not UTF-8", "verify"}, [&] { store.content_hash(); });
  expect_error(ErrorCode::kCorrupt, {"not UTF-8"}, [&] { store.dump(file("dump")); });
  EXPECT_FALSE(std::filesystem::exists(file("dump")));
}

TEST_F(StoreDamageTest, DamagedDumpsLeaveNoFile) {
  EditStore store = make();
  store.add(fact("A", "capital", "x", "2020"));
  store.dump(file("d"));
  const std::string whole = read_file(file("d"));
  const auto restore_of = [&](const std::string& text) {
    return [this, text] {
      write_file(file("broken"), text);
      EditStore::restore(file("broken"), file("t"));
    };
  };
  const auto corrupt = ErrorCode::kCorrupt;
  expect_error(corrupt, {"broken:", "cut off"}, restore_of(whole.substr(0, whole.size() / 2)));
  expect_error(corrupt, {"hash"}, restore_of([&] {
                 std::string text = whole;
                 return text.replace(text.find("2020"), 4, "2021");
               }()));
  expect_error(corrupt, {"unknown table"}, restore_of([&] {
                 std::string text = whole;
                 return text.replace(text.find("\"facts\""), 7, "\"truth\"");
               }()));
  expect_error(corrupt, {"broken:1", "not a dump"}, restore_of("{\"a\":1}\n"));
  expect_error(
      ErrorCode::kUnsupported, {"version 9"}, restore_of("{\"errata_store\":1,\"schema\":9}\n"));
  EXPECT_FALSE(std::filesystem::exists(file("t")));
  const auto files = std::distance(
      std::filesystem::directory_iterator(file("d").parent_path()),
      std::filesystem::directory_iterator());
  EXPECT_LE(files, 5); // store, its two companions, dump, broken dump
}

} // namespace
} // namespace errata::editing
