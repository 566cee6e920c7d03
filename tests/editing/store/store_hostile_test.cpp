// Names, files and dumps that nobody should write.

#include "core/base/files.h"
#include "core/base/random.h"
#include "tests/editing/store/store_fixture.h"

#include <gmock/gmock.h>

#include <iconv.h>
#include <rapidcheck/gtest.h>

namespace errata::editing {
namespace {

using testing_support::expect_error;

class StoreHostileTest : public StoreTest {
 protected:
  /// A store with something in every table.
  std::string rich_store(const std::string& name) const {
    EditStore store = EditStore::create(file(name), throwaway());
    store.put_relation(relation("capital"));
    store.put_relation(relation("borders", false));
    store.put_entity({"A", "country", {"Alpha"}});
    for (int i = 0; i < 60; ++i) {
      datasets::Fact item =
          fact("A" + std::to_string(i % 7), "capital", "x" + std::to_string(i), "2020");
      item.valid_from = Date{1950 + i, 0, 0};
      item.aliases = {"alias " + std::to_string(i)};
      store.add(item);
    }
    store.retract({"A1", "capital", std::nullopt, std::nullopt});
    datasets::MultiHopCase item;
    item.id = "m";
    item.start = "A2";
    item.chain_new = {{"A2", "capital", "x2"}};
    item.questions = {"Which?"};
    item.new_answer = "x2";
    store.put_multi_hop("set", std::vector{item});
    datasets::ExplicitEdit edit;
    edit.id = "e";
    edit.prompt = "p";
    edit.target_new = "t";
    edit.locality = {{"q", {"a"}, {}}};
    store.put_edits("set", std::vector{edit});
    RunRecord run;
    run.id = "run";
    run.edits = store.diff(parse_date("1990"), parse_date("2005"));
    store.record_run(run);
    store.dump(file(name + ".jsonl"));
    return read_file(file(name + ".jsonl"));
  }
};

// Everything that can be read, read; only an `Error` may come of it.
void read_all(const std::filesystem::path& path) {
  try {
    const EditStore store = EditStore::open(path, throwaway());
    store.verify();
    store.content_hash();
    store.conflicts();
    store.log();
    store.runs();
    store.learnt(0);
    store.diff(parse_date("1960"), parse_date("2005"));
    store.relations();
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::kInvalidArgument) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

TEST_F(StoreHostileTest, DamagedFilesGiveErrorsAndNoCrash) {
  rich_store("s");
  const std::string whole = read_file(file("s"));
  ASSERT_EQ(whole.substr(0, 6), "SQLite");
  Random random(11);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    std::string broken = whole;
    for (std::size_t i = 1 + random.index(20); i > 0; --i) {
      broken[random.index(broken.size())] = static_cast<char>(random.index(256));
    }
    if (round % 10 == 9) {
      broken.resize(random.index(broken.size()));
    }
    write_file(file("broken"), broken);
    read_all(file("broken"));
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(file("broken").string() + suffix);
    }
  }
}

TEST_F(StoreHostileTest, DamagedDumpsAreRefusedWithTheirLine) {
  const std::string whole = rich_store("s");
  Random random(12);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    std::string broken = whole;
    const std::size_t place = random.index(broken.size());
    if (round % 3 == 0) {
      broken.erase(place, 1 + random.index(200));
    } else if (round % 3 == 1) {
      broken[place] = static_cast<char>(broken[place] ^ static_cast<char>(1 + random.index(255)));
    } else {
      broken.insert(place, broken.substr(random.index(broken.size()), 50));
    }
    if (broken == whole) {
      continue;
    }
    write_file(file("broken.jsonl"), broken);
    try {
      EditStore::restore(file("broken.jsonl"), file("t"), throwaway());
      ADD_FAILURE() << "a dump that was changed at byte " << place << " is taken";
      std::filesystem::remove(file("t"));
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("broken.jsonl:"));
      EXPECT_TRUE(error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kUnsupported)
          << error.what();
    }
    EXPECT_FALSE(std::filesystem::exists(file("t")));
  }
}

TEST_F(StoreHostileTest, OddThingsThatAreLegal) {
  EditStore store = EditStore::create(file("s"), throwaway());
  store.put_relation(relation("capital"));
  store.put_relation(relation("a 'relation' {s} \"with\" %; --", false));
  datasets::Fact twice = fact("A", "capital", "x");
  twice.aliases = {"y", "y", "x"}; // a name twice, and the object's own
  store.add(twice);
  EXPECT_EQ(store.all_facts().at(0).aliases.size(), 2U);
  store.add(fact("A", "a 'relation' {s} \"with\" %; --", "A")); // about itself
  store.add(fact("\xEF\xBB\xBFName", "capital", "with a BOM"));
  EXPECT_EQ(store.show("\xEF\xBB\xBFName").facts.size(), 1U);
  store.add(fact("0001", "capital", "x", "0001-01-01", "9999-12-31"));
  EXPECT_THAT(store.verify(), ::testing::IsEmpty());
  // Two entities that go by one other name: told, not guessed.
  store.put_entity({"P", "", {"shared"}});
  store.put_entity({"Q", "", {"shared"}});
  expect_error(ErrorCode::kInvalidArgument, {"'P'", "'Q'"}, [&] { store.resolve("shared"); });
  expect_error(ErrorCode::kInvalidArgument, {"subject", "67108865 bytes"}, [&] {
    store.add(fact(std::string((std::size_t{64} << 20) + 1, 'n'), "capital", "x"));
  });
  datasets::MultiHopCase torn;
  torn.id = "torn";
  torn.questions = {"Which?"};
  torn.chain_new = {{"A", "capital", "x"}, {"z", "capital", "w"}};
  expect_error(ErrorCode::kInvalidArgument, {"'torn'", "breaks after A, capital, x"}, [&] {
    store.put_multi_hop("set", std::vector{torn});
  });
}

/// Whether iconv takes it as UTF-8: a judge that shares no code with the store.
bool iconv_takes(const std::string& text) {
  const iconv_t converter = ::iconv_open("UTF-16", "UTF-8");
  std::string in = text;
  std::string out(4 * text.size() + 8, '\0');
  char* from = in.data();
  char* to = out.data();
  std::size_t left = in.size();
  std::size_t room = out.size();
  const bool taken = ::iconv(converter, &from, &left, &to, &room) != static_cast<std::size_t>(-1);
  ::iconv_close(converter);
  return taken;
}

RC_GTEST_PROP(StoreHostileProperty, NamesAreUtf8WithoutNulOrRefused, ()) {
  static const testing_support::TemporaryDirectory directory;
  static EditStore store = [] {
    EditStore made = EditStore::create(directory / "s", throwaway());
    made.put_relation(relation("capital"));
    return made;
  }();
  // Bytes that begin, continue and break sequences, more often than chance would have it.
  const auto bytes = *rc::gen::container<std::string>(rc::gen::oneOf(
      rc::gen::arbitrary<char>(),
      rc::gen::element<char>(
          '\xC3', '\xA9', '\xE0', '\xED', '\xA0', '\x80', '\xF0', '\xF4', '\x90', 'a')));
  const bool blank = bytes.find_first_not_of(" \t\r\n") == std::string::npos;
  const bool legal = !blank && bytes.find('\0') == std::string::npos && iconv_takes(bytes);
  const std::int64_t before = store.statistics().versions;
  if (legal) {
    store.add(fact(bytes, "capital", "x"));
    RC_ASSERT(store.show(bytes).facts.size() == 1U);
  } else {
    RC_ASSERT_THROWS_AS(store.add(fact(bytes, "capital", "x")), Error);
    RC_ASSERT(store.statistics().versions == before);
  }
}

} // namespace
} // namespace errata::editing
