// The formats of facts, tables of one's own, and what all formats promise.

#include "core/base/files.h"
#include "core/base/json.h"
#include "tests/datasets/read_sample.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>

#include <utility>

namespace errata::datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing_support::expect_error;
using testing_support::read_format;
using testing_support::read_sample;
using testing_support::read_text;
using testing_support::RecordingSink;
using testing_support::sample;

TEST(Importers, DyKnowDatesRolesAndTeams) {
  const RecordingSink read = read_sample("dyknow", "dyknow.json");
  ASSERT_THAT(read.facts, SizeIs(4));
  // Groups and entities come in the order of their names within a group.
  const Fact& first = read.facts[0];
  EXPECT_EQ(first.subject, "Zemlya");
  EXPECT_EQ(first.relation, "president");
  EXPECT_EQ(first.object, "Ada Berg");
  EXPECT_EQ(to_string(*first.valid_from), "1999-05-18");
  EXPECT_EQ(to_string(*first.valid_to), "2006-05-15");
  EXPECT_EQ(to_string(*read.facts[1].valid_from), "2006-05");
  EXPECT_FALSE(read.facts[1].valid_to);
  // Began and ended in one year: until the next. The colon may be missing, as in the real file.
  EXPECT_EQ(to_string(*read.facts[2].valid_to), "2005");
  const Fact& team = read.facts[3];
  EXPECT_EQ(team.relation, "team");
  EXPECT_FALSE(team.valid_to);
  ASSERT_THAT(read.skips, SizeIs(2));
  EXPECT_THAT(read.skips[0], HasSubstr("ends in 2001, before it begins in 2010"));
  EXPECT_THAT(read.skips[1], HasSubstr("qualifier 'X"));
  EXPECT_THAT(read.relations[0].questions, ElementsAre("Who is the President of {s}?"));
  EXPECT_TRUE(read.relations[0].functional);
  EXPECT_FALSE(read.relations[1].functional);
  EXPECT_THAT(read.relations[1].statements, ElementsAre("The current team of {s} is {o}."));
}

TEST(Importers, WordingsNameTheSubjectAndAreThereOnce) {
  const RecordingSink read = read_text(
      "dyknow",
      "d.json",
      R"({"g": {"Oria": {"King of Oria": {"questions": ["Who is king of Oria, Oria?", "Who rules?",)"
      R"( "Who is king of Oria, Oria?", 5], "answers": []}, "Queen of Oria": {"questions": )"
      R"({"a": "The queen of Oria is", "b": "She is", "c": "The queen of Oria is"}, "answers": []}},)"
      R"( "": {"Duke": {"questions": ["Who is duke?"], "answers": []}}}})");
  EXPECT_THAT(read.skips, IsEmpty());
  ASSERT_THAT(read.relations, SizeIs(3)); // names in their order: the empty one first
  EXPECT_THAT(read.relations[0].questions, IsEmpty());
  EXPECT_EQ(read.relations[1].name, "king");
  EXPECT_THAT(read.relations[1].questions, ElementsAre("Who is king of {s}, {s}?"));
  EXPECT_THAT(read.relations[1].statements, IsEmpty());
  EXPECT_THAT(read.relations[2].questions, IsEmpty());
  EXPECT_THAT(read.relations[2].statements, ElementsAre("The queen of {s} is {o}."));
}

TEST(Importers, YagoQuadruples) {
  const RecordingSink read = read_sample("yago11k", "yago11k.txt");
  ASSERT_THAT(read.facts, SizeIs(4));
  EXPECT_EQ(read.facts[0].object, "Astra (city)");
  EXPECT_EQ(read.facts[0].relation, "hasCapital");
  EXPECT_EQ(to_string(*read.facts[0].valid_from), "0360");
  EXPECT_EQ(to_string(*read.facts[0].valid_to), "1986");
  EXPECT_FALSE(read.facts[1].valid_to);
  EXPECT_EQ(to_string(*read.facts[2].valid_to), "2001-05-08"); // an event has its day
  EXPECT_EQ(read.facts[3].subject, "Norra");                   // names stand for themselves
  EXPECT_FALSE(read.facts[3].valid_from);
  ASSERT_THAT(read.skips, SizeIs(4));
  EXPECT_THAT(read.skips[0], HasSubstr("yago11k.txt:4: the year -405"));
  EXPECT_THAT(read.skips[1], HasSubstr("tail 9 has no name"));
  EXPECT_THAT(read.skips[2], HasSubstr("ends in 1999, before it begins in 2001"));
  EXPECT_THAT(read.skips[3], HasSubstr("yago11k.txt:7: 2 columns"));
}

TEST(Importers, YagoNamesMustSaySomething) {
  const RecordingSink read = read_text(
      "yago11k", "q.txt", "\tr\tb\t1990\t1991\na\t \tb\t1990\t1991\na\tr\t_\t1990\t1991\n");
  EXPECT_THAT(read.facts, IsEmpty());
  EXPECT_THAT(
      read.skips,
      ElementsAre(
          HasSubstr("q.txt:1: the name of the head is empty"),
          HasSubstr("q.txt:2: the name of the relation is empty"),
          HasSubstr("q.txt:3: the name of the tail is empty")));
}

TEST(Importers, YagoNamesAreGivenEachByItself) {
  const testing_support::TemporaryDirectory directory;
  ImportOptions options;
  options.path = directory / "quads.txt";
  write_file(options.path, "<Norra>\t0\t<Vik>\t1990\t1991\n");
  const auto only_fact = [&] {
    const RecordingSink read = read_format("yago11k", options);
    EXPECT_THAT(read.skips, IsEmpty());
    return read.facts.at(0);
  };
  EXPECT_THAT(
      read_format("yago11k", options).skips,
      ElementsAre(HasSubstr("quads.txt:1: relation 0 has no name")));
  options.relations = sample("relation2id.txt"); // and no names of entities anywhere
  EXPECT_EQ(only_fact().relation, "hasCapital");
  EXPECT_EQ(only_fact().subject, "Norra");
  write_file(options.path, "0\t<hasCapital>\t2\t1990\t1991\n");
  options.relations.clear();
  options.entities = sample("entity2id.txt");
  EXPECT_EQ(only_fact().subject, "Zemlya");
  EXPECT_EQ(only_fact().object, "Torvik");
  options.relations = directory / "none.txt"; // what is given must be there
  expect_error(ErrorCode::kNotFound, {"none.txt"}, [&] { read_format("yago11k", options); });
}

TEST(Importers, CongressTerms) {
  const RecordingSink read = read_sample("congress", "congress.yaml");
  ASSERT_THAT(read.facts, SizeIs(3));
  EXPECT_EQ(read.facts[0].relation, "president");
  EXPECT_EQ(read.facts[0].subject, "United States");
  EXPECT_EQ(read.facts[0].object, "Ada Lund Berg");
  EXPECT_THAT(read.facts[0].aliases, ElementsAre("Ada Berg", "Addie Berg", "Berg"));
  EXPECT_EQ(to_string(*read.facts[0].valid_to), "1793-03-04");
  EXPECT_EQ(read.facts[1].relation, "senator");
  EXPECT_EQ(to_string(*read.facts[1].valid_from), "1799-01-01");
  EXPECT_EQ(read.facts[2].subject, "ZZ-2");
  EXPECT_EQ(read.facts[2].object, "Ivo \"Iv\" Rask Jr.");
  ASSERT_THAT(read.skips, SizeIs(3));
  EXPECT_THAT(read.skips[0], HasSubstr("1801-02-30"));
  EXPECT_THAT(read.skips[0], HasSubstr("congress.yaml:15"));
  EXPECT_THAT(read.skips[1], HasSubstr("'king'"));
  EXPECT_THAT(read.skips[2], HasSubstr("'name' is missing"));
}

TEST(Importers, TableOfFacts) {
  const RecordingSink read = read_sample("table", "table.csv", "table_mapping.json");
  ASSERT_THAT(read.facts, SizeIs(2));
  EXPECT_EQ(read.facts[0].subject, "Zemlya"); // the byte order mark is no part of the column's name
  EXPECT_EQ(read.facts[0].object, "Tor\"vik, \"old\"");
  EXPECT_EQ(read.facts[0].relation, "capital");
  EXPECT_EQ(to_string(*read.facts[0].valid_from), "2021-03");
  EXPECT_THAT(read.facts[0].aliases, ElementsAre("Torvik Town", "T"));
  EXPECT_EQ(read.facts[0].source, "list of Zemlya");
  EXPECT_EQ(read.facts[1].subject, "Nor\nra");
  ASSERT_THAT(read.relations, SizeIs(1));
  ASSERT_THAT(read.skips, SizeIs(3));
  EXPECT_THAT(read.skips[0], HasSubstr("table.csv:6: '2021-02-30' is not a date"));
  EXPECT_THAT(read.skips[1], HasSubstr("table.csv:7: 2 cells; expected 4"));
  EXPECT_THAT(read.skips[2], HasSubstr("table.csv:8: no subject"));
}

TEST(Importers, TableOfEdits) {
  const RecordingSink read = read_sample("table", "table.jsonl", "edits_mapping.json");
  ASSERT_THAT(read.edits, SizeIs(2));
  EXPECT_EQ(read.edits[0].id, "4");
  EXPECT_EQ(read.edits[0].prompt, "The capital of Zemlya is");
  EXPECT_THAT(
      read.edits[0].paraphrases,
      ElementsAre(
          "Which city is the capital of Zemlya?", "It was Astra; the capital of Zemlya is"));
  EXPECT_THAT(
      read.edits[0].locality, ElementsAre(Probe{"The flag of Zemlya is", {"blue"}, "flag"}));
  EXPECT_EQ(read.edits[1].id, "1");                  // its number
  EXPECT_THAT(read.edits[1].paraphrases, SizeIs(1)); // no sentence about nothing
  ASSERT_THAT(read.skips, SizeIs(1));
  EXPECT_THAT(read.skips[0], HasSubstr("table.jsonl:3: no target_new"));
}

TEST(Importers, MistakesOfAMappingAreNamed) {
  const testing_support::TemporaryDirectory directory;
  ImportOptions options;
  options.path = sample("table.csv");
  expect_error(ErrorCode::kInvalidArgument, {"--mapping"}, [&] { read_format("table", options); });
  options.mapping = directory / "m.json";
  const auto reject =
      [&](const std::string& text, ErrorCode code, const std::vector<std::string>& parts) {
        write_file(options.mapping, text);
        expect_error(code, parts, [&] { read_format("table", options); });
      };
  reject(
      R"({"holds": "things", "fields": {}})", ErrorCode::kCorrupt, {"'holds'", "facts or edits"});
  reject(R"({"holds": "facts"})", ErrorCode::kCorrupt, {"'fields'"});
  reject(
      R"({"holds": "facts", "fields": {"subject": "Country", "relation": "x"}})",
      ErrorCode::kCorrupt,
      {"'object'"});
  reject(
      R"({"holds": "facts", "fields": {"subjct": "Country"}})",
      ErrorCode::kInvalidArgument,
      {"'subjct'", "'subject'"});
  reject(
      R"({"holds": "facts", "fields": {"subject": "Contry", "relation": {"text": "r"}, "object": "Capital"}})",
      ErrorCode::kNotFound,
      {"table.csv:1", "'Contry'", "'Country'"});
  reject(
      R"({"holds": "facts", "fields": {"subject": {"text": "a {b"}, "relation": "r", "object": "o"}})",
      ErrorCode::kCorrupt,
      {"bracket"});
}

// A store shows progress by the byte, and names the place when it refuses a record.
TEST(Importers, EveryRecordIsAnnouncedWithItsPlace) {
  const auto places = [](const RecordingSink& read) {
    std::vector<std::pair<std::string, std::int64_t>> all;
    for (const RecordPlace& place : read.places) {
      all.emplace_back(place.where.substr(place.where.rfind('/') + 1), place.byte);
    }
    return all;
  };
  const auto place = [](const char* where, std::int64_t byte) {
    return std::pair<std::string, std::int64_t>(where, byte);
  };
  EXPECT_THAT(
      places(read_text("yago11k", "q.txt", "a\tr\tb\t1990\t1991\n\nbad\r\na\tr\tb\t1992\t1993")),
      ElementsAre(place("q.txt:1", 0), place("q.txt:3", 17), place("q.txt:4", 22)));
  EXPECT_THAT(
      places(read_text("fastedit", "f.json", "[17,\n {}]")),
      ElementsAre(
          place("f.json:1 (record 0, byte 1)", 1), place("f.json:2 (record 1, byte 6)", 6)));
  EXPECT_THAT(
      places(read_sample("table", "table.csv", "table_mapping.json")),
      ElementsAre(
          place("table.csv:2", 32),
          place("table.csv:3", 83),
          place("table.csv:6", 101),
          place("table.csv:7", 123),
          place("table.csv:8", 132)));
}

// Most sources leave out an end that a successor tells; the Factbook means that there is none.
TEST(Importers, MissingEndMeansWhatTheSourceMeansByIt) {
  for (const RecordingSink& read :
       {read_sample("dyknow", "dyknow.json"),
        read_sample("yago11k", "yago11k.txt"),
        read_sample("congress", "congress.yaml"),
        read_sample("table", "table.csv", "table_mapping.json"),
        read_sample("facts", "facts.jsonl")}) {
    ASSERT_THAT(read.facts, testing::Not(IsEmpty()));
    EXPECT_THAT(read.ends, SizeIs(read.facts.size()));
    EXPECT_THAT(read.ends, testing::Each(MissingEnd::kNotStated));
  }
  const RecordingSink bundled = read_format("factbook", {});
  EXPECT_THAT(bundled.ends, SizeIs(bundled.facts.size()));
  EXPECT_THAT(bundled.ends, testing::Each(MissingEnd::kOpen));
}

TEST(Importers, UnknownFormatNamesTheNearest) {
  expect_error(
      ErrorCode::kInvalidArgument, {"'mquak'", "'mquake'"}, [] { import_format("mquak"); });
}

} // namespace
} // namespace errata::datasets
