#include "editing/store/edit_store.h"

#include "tests/editing/store/store_fixture.h"

#include <gmock/gmock.h>

#include <thread>

namespace errata::editing {
namespace {

using datasets::EditKind;
using ::testing::ElementsAre;
using testing_support::expect_error;

class EditStoreTest : public StoreTest {};

TEST_F(EditStoreTest, SuccessionEndsTheFormerValue) {
  EditStore store = make();
  store.add(fact("Kazakhstan", "capital", "Nur-Sultan", "2019-03-23"));
  store.add(fact("Kazakhstan", "capital", "Astana", "2022-09-17"));
  store.add(fact("Kazakhstan", "capital", "Almaty", "1991", "1997"));
  const auto edits = store.diff(parse_date("2021-01-31"), parse_date("2026"));
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_EQ(edits[0].kind, EditKind::kModification);
  EXPECT_EQ(edits[0].old_object, "Nur-Sultan");
  EXPECT_EQ(edits[0].new_object, "Astana");
  EXPECT_EQ(to_string(*edits[0].effective), "2022-09-17");
  EXPECT_TRUE(store.conflicts().empty());
  EXPECT_EQ(store.facts_as_of(parse_date("1995")).at(0).object, "Almaty");
  EXPECT_TRUE(store.facts_as_of(parse_date("2000")).empty());

  // What the store knew before the second fact came.
  EXPECT_TRUE(store.diff(parse_date("2021-01-31"), parse_date("2026"), 3).empty());
  // Taking the successor back lets the former value hold again.
  store.retract({"Kazakhstan", "capital", "Astana", std::nullopt}, "mistake");
  EXPECT_EQ(store.facts_as_of(parse_date("2026")).at(0).object, "Nur-Sultan");
  EXPECT_EQ(store.log(1).at(0).note, "mistake");
  EXPECT_EQ(store.log(1).at(0).retracted, 1);
}

TEST_F(EditStoreTest, EveryVersionStaysAndNamesItsSuccessor) {
  EditStore store = make();
  store.add(fact("A", "capital", "x", "2020"));
  store.end({"A", "capital", std::nullopt, std::nullopt}, parse_date("2024"));
  RunRecord run;
  run.id = "run-1";
  run.seed = UINT64_MAX;
  run.config = R"({"rank":8})";
  run.edits = store.diff(parse_date("2019"), parse_date("2021"));
  store.record_run(run);
  const auto versions = store.blame("A", "capital");
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(versions[0].fact.superseded_by, versions[1].fact.id);
  EXPECT_EQ(versions[0].fact.superseded, versions[1].fact.recorded);
  EXPECT_THAT(versions[1].runs, ::testing::ElementsAre("run-1"));
  EXPECT_EQ(store.runs().at(0).seed, UINT64_MAX);
  EXPECT_EQ(store.runs().at(0).edits.at(0).new_object, "x");
  expect_error(
      ErrorCode::kInvalidArgument, {"run-1", "recorded already"}, [&] { store.record_run(run); });
}

TEST_F(EditStoreTest, ManyValuedSlotsGiveAnEditForEachObject) {
  EditStore store = make();
  store.add(fact("A", "borders", "B"));
  store.add(fact("A", "borders", "C", "2020", "2022"));
  store.add(fact("A", "borders", "D", "2021"));
  const auto edits = store.diff(parse_date("2020-06"), parse_date("2023"));
  ASSERT_EQ(edits.size(), 2U);
  EXPECT_EQ(edits[0].kind, EditKind::kInjection);
  EXPECT_EQ(edits[0].new_object, "D");
  EXPECT_EQ(edits[1].kind, EditKind::kRemoval);
  EXPECT_EQ(edits[1].old_object, "C");
  EXPECT_EQ(to_string(*edits[1].effective), "2022");
}

TEST_F(EditStoreTest, ContradictionsAreReported) {
  EditStore store = make();
  store.add(fact("A", "capital", "x", "2020", "2023"));
  store.add(fact("A", "capital", "y", "2022", "2024"));
  const auto conflicts = store.conflicts();
  ASSERT_EQ(conflicts.size(), 1U);
  EXPECT_EQ(conflicts[0].first.fact.object, "x");
  EXPECT_EQ(to_string(*conflicts[0].from), "2022");
  EXPECT_EQ(to_string(*conflicts[0].to), "2023");
}

TEST_F(EditStoreTest, UnknownNamesAreAnsweredWithTheNearest) {
  EditStore store = make();
  store.add(fact("Kazakhstan", "capital", "Astana"));
  datasets::Fact alias = fact("Italy", "capital", "Rome");
  alias.aliases = {"Roma"};
  store.add(alias);
  const auto invalid = ErrorCode::kInvalidArgument;
  expect_error(invalid, {"capitol", "did you mean 'capital'"}, [&] {
    store.add(fact("A", "capitol", "x"));
  });
  expect_error(invalid, {"did you mean 'Kazakhstan'"}, [&] { store.show("Kazahstan"); });
  EXPECT_EQ(store.resolve("Roma"), "Rome");
  EXPECT_EQ(store.show("Roma").incoming.size(), 1U);
  expect_error(invalid, {"after its start"}, [&] {
    store.add(fact("A", "capital", "x", "2020", "2020-01-01"));
  });
  expect_error(invalid, {"swap"}, [&] { store.diff(parse_date("2021"), parse_date("2020")); });
  expect_error(invalid, {"no change 99"}, [&] { store.facts_as_of(parse_date("2021"), 99); });
}

TEST_F(EditStoreTest, HostileNamesComeBackUnchanged) {
  EditStore store = make();
  const std::vector<std::string> names = {
      "Robert'); DROP TABLE facts;--",
      "\"quoted\" `ticks` %s ?1 :x",
      "line\nbreak\r\nand\ttab",
      "\xF0\x9F\x98\x80 \xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D",
      std::string(1 << 20, 'n')};
  for (const std::string& name : names) {
    store.add(fact(name, "capital", name + "!"));
    EXPECT_EQ(store.show(name).facts.at(0).fact.object, name + "!");
  }
  store.dump(file("d"));
  EXPECT_EQ(EditStore::restore(file("d"), file("t")).content_hash(), store.content_hash());
  const auto invalid = ErrorCode::kInvalidArgument;
  const std::int64_t changes = store.statistics().changes;
  expect_error(invalid, {"object", "not valid UTF-8 at byte 3"}, [&] {
    store.add(fact("A", "capital", "abc\xFF"));
  });
  expect_error(invalid, {"subject", "UTF-8 at byte 0"}, [&] {
    store.add(fact("\xED\xA0\x80", "capital", "surrogate"));
  });
  expect_error(
      invalid, {"NUL at byte 1"}, [&] { store.add(fact(std::string("a\0b", 3), "capital", "x")); });
  expect_error(invalid, {"object", "is empty"}, [&] { store.add(fact("A", "capital", " ")); });
  EXPECT_EQ(store.statistics().changes, changes);
}

TEST_F(EditStoreTest, ChangeIsAllOrNothing) {
  EditStore store = make();
  const std::string before = store.content_hash();
  {
    EditStore::Change change = store.begin("import", "half");
    store.add(fact("A", "capital", "x"));
    EXPECT_THROW(store.add(fact("A", "nothing", "x")), Error);
    store.add(fact("B", "capital", "x")); // a failed call undoes itself alone
    EXPECT_EQ(store.all_facts().size(), 2U);
  }
  EXPECT_EQ(store.content_hash(), before);
  EXPECT_EQ(store.statistics().entities, 0);
  EditStore::Change empty = store.begin("import");
  EXPECT_EQ(empty.commit(), 0);
}

TEST_F(EditStoreTest, RecordTimeIsFound) {
  StoreOptions options;
  std::string now = "2024-05-01T10:00:00Z";
  options.clock = [&] { return now; };
  EditStore store = EditStore::create(file("s"), options);
  store.put_relation(relation("capital"));
  now = "2024-05-02T10:00:00Z";
  store.add(fact("A", "capital", "x"));
  now = "2023-01-01T00:00:00Z"; // a clock set back
  store.add(fact("B", "capital", "y"));
  EXPECT_EQ(store.change_at("2024-05-01"), 1);
  EXPECT_EQ(store.change_at("2024-05-02T09:59:59Z"), 1);
  EXPECT_EQ(store.change_at("2024-05-02"), 3);
  EXPECT_EQ(store.change_at("2020"), 0);
  EXPECT_TRUE(store.facts_as_of(parse_date("2024"), 0).empty());
  EXPECT_TRUE(store.verify().empty());
  expect_error(ErrorCode::kInvalidArgument, {"record time"}, [&] { store.change_at("soon"); });
}

TEST_F(EditStoreTest, TwoWritersTakeTurnsAndReadersDoNotWait) {
  make();
  const auto work = [&](const std::string& subject) {
    EditStore store = EditStore::open(file("s"));
    for (int i = 0; i < 20; ++i) {
      store.add(fact(subject + std::to_string(i), "capital", "x"));
    }
  };
  std::thread other([&] { work("a"); });
  work("b");
  other.join();
  EditStore store = EditStore::open(file("s"));
  EXPECT_EQ(store.all_facts().size(), 40U);
  EXPECT_EQ(store.statistics().changes, 42);

  const EditStore::Change held = store.begin("import");
  store.add(fact("c", "capital", "x"));
  StoreOptions hasty;
  hasty.busy_timeout_ms = 10;
  EditStore second = EditStore::open(file("s"), hasty);
  EXPECT_EQ(second.all_facts().size(), 40U);
  expect_error(ErrorCode::kIo, {"another process"}, [&] { second.add(fact("d", "capital", "x")); });
}

TEST_F(EditStoreTest, TheLogOfASubjectCountsItsFactsAlone) {
  EditStore store = make();                               // changes 1 and 2
  store.add(fact("A", "capital", "x", "2020"));           // 3
  store.add(fact("B", "capital", "x", "2020"));           // 4
  store.add(fact("A", "capital", "y", "2022"));           // 5: x gets an end
  store.retract({"A", "capital", "y", std::nullopt}, ""); // 6: and loses it
  const auto lines = [&](std::string_view subject, std::size_t limit = 0) {
    std::vector<std::string> result;
    for (const LogEntry& entry : store.log(limit, subject)) {
      result.push_back(
          concat(entry.change, ": ", entry.added, ' ', entry.superseded, ' ', entry.retracted));
    }
    return result;
  };
  EXPECT_THAT(lines("A"), ElementsAre("6: 0 1 1", "5: 1 1 0", "3: 1 0 0"));
  EXPECT_THAT(lines("A", 1), ElementsAre("6: 0 1 1"));
  EXPECT_THAT(lines("B"), ElementsAre("4: 1 0 0"));
  EXPECT_THAT(
      lines(""),
      ElementsAre("6: 0 1 1", "5: 1 1 0", "4: 1 0 0", "3: 1 0 0", "2: 0 0 0", "1: 0 0 0"));
}

TEST_F(EditStoreTest, SetsKeepTheirRecords) {
  EditStore store = make();
  datasets::MultiHopCase item;
  item.id = "m1";
  item.start = "Rome";
  item.chain_new = {{"Rome", "capital^-1", "Italy"}, {"Italy", "borders", "France"}};
  item.changed = true;
  item.edited_hop = "last";
  item.questions = {"Which?"};
  item.new_answer = "France";
  item.edit_ids = {"e"};
  EXPECT_EQ(store.put_multi_hop("mine", std::vector{item}), (SetChange{1, 0}));
  EXPECT_EQ(store.put_multi_hop("mine", std::vector{item}), SetChange());
  item.questions = {"Which?", "And?"};
  EXPECT_EQ(store.put_multi_hop("mine", std::vector{item}), (SetChange{0, 1}));
  const auto cases = store.multi_hop("mine");
  ASSERT_EQ(cases.size(), 1U);
  EXPECT_EQ(cases[0].questions.size(), 2U);
  EXPECT_EQ(cases[0].chain_new, item.chain_new);

  datasets::ExplicitEdit edit;
  edit.id = "x1";
  edit.prompt = "The capital of A is";
  edit.target_new = "y";
  edit.paraphrases = {"A's capital:"};
  edit.locality = {{"The capital of B is", {"z", "Z"}, {}}};
  edit.effective = parse_date("2022-03");
  EXPECT_EQ(store.put_edits("march", std::vector{edit}), (SetChange{1, 0}));
  EXPECT_EQ(store.put_edits("march", std::vector{edit}), SetChange());
  const auto edits = store.explicit_edits("march");
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_EQ(edits[0].locality.at(0).answers, edit.locality[0].answers);
  EXPECT_EQ(edits[0].effective, edit.effective);
  EXPECT_TRUE(store.explicit_edits("april").empty());
  EXPECT_EQ(store.sets().size(), 2U);
}

} // namespace
} // namespace errata::editing
