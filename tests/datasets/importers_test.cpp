#include "core/base/files.h"
#include "tests/datasets/recording_sink.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>

namespace errata::datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing_support::expect_error;
using testing_support::read_format;
using testing_support::RecordingSink;
using testing_support::sample;

RecordingSink read_sample(std::string_view format, const std::string& file) {
  ImportOptions options;
  options.path = sample(file);
  return read_format(format, options);
}

TEST(Importers, MquakeGivesEditsCasesWordingsAndNames) {
  const RecordingSink read = read_sample("mquake", "mquake.json");
  ASSERT_THAT(read.cases, SizeIs(2));
  const MultiHopCase& item = read.cases[0];
  EXPECT_EQ(item.id, "7");
  EXPECT_EQ(item.start, "Zemlya");
  EXPECT_THAT(
      item.chain_new, ElementsAre(Hop{"Zemlya", "P36", "Torvik"}, Hop{"Torvik", "P6", "Ivo Rask"}));
  EXPECT_EQ(item.chain[0].object, "Astra");
  EXPECT_TRUE(item.changed);
  EXPECT_EQ(item.edited_hop, "first");
  EXPECT_THAT(item.questions, SizeIs(3));
  EXPECT_THAT(item.answer_aliases, ElementsAre("Berg", "A. Berg")); // answer_extended too, once
  EXPECT_THAT(item.edit_ids, ElementsAre("Zemlya|P36|Torvik"));
  ASSERT_THAT(read.edits, SizeIs(2));
  const ExplicitEdit& edit = read.edits[0];
  EXPECT_EQ(edit.id, "Zemlya|P36|Torvik");
  EXPECT_EQ(edit.prompt, "The capital of Zemlya is");
  EXPECT_THAT(edit.target_aliases, ElementsAre("Torvik Town"));
  EXPECT_EQ(edit.target_true, "Astra");
  EXPECT_THAT(edit.paraphrases, ElementsAre("What is the capital of Zemlya?"));
  EXPECT_EQ(read.relations[0].name, "P36");
  EXPECT_THAT(read.relations[0].questions, ElementsAre("What is the capital of {s}?"));
  EXPECT_THAT(read.relations[0].statements, ElementsAre("The capital of {s} is {o}."));
  EXPECT_EQ(read.entities[0].name, "Astra");
  EXPECT_THAT(read.entities[0].aliases, ElementsAre("Astra City"));
  ASSERT_THAT(read.skips, SizeIs(1)); // no chain
  EXPECT_THAT(read.skips[0], HasSubstr("mquake.json:39 (record 2, byte "));
}

TEST(Importers, CounterFactInBothSchemas) {
  const RecordingSink read = read_sample("counterfact", "counterfact.json");
  ASSERT_THAT(read.edits, SizeIs(2));
  const ExplicitEdit& rome = read.edits[0];
  EXPECT_EQ(rome.id, "0");
  EXPECT_EQ(rome.prompt, "Ada Berg was born in");
  EXPECT_EQ(rome.relation, "P19");
  EXPECT_EQ(rome.target_new, "Torvik");
  EXPECT_EQ(rome.target_true, "Astra");
  EXPECT_THAT(rome.paraphrases, SizeIs(2));
  ASSERT_THAT(rome.locality, SizeIs(3)); // repetitions stay
  EXPECT_EQ(rome.locality[2], (Probe{"Ivo Rask comes from", {"Astra"}, "neighborhood"}));
  EXPECT_THAT(rome.generation, SizeIs(2));
  EXPECT_THAT(
      rome.portability,
      ElementsAre(Probe{"On which river is Ada Berg's birthplace?", {"Lom"}, "portability"}));
  const ExplicitEdit& flat = read.edits[1];
  EXPECT_EQ(flat.target_true, "Astra");
  EXPECT_THAT(
      flat.locality, ElementsAre(Probe{"The capital of Norra is", {"Vik"}, "neighborhood"}));
  ASSERT_THAT(read.skips, SizeIs(2));
  EXPECT_THAT(read.skips[0], HasSubstr("expected {} where the subject belongs"));
  EXPECT_THAT(read.skips[1], HasSubstr("'target_new'"));
}

TEST(Importers, ZsreTowardsBothTargets) {
  ImportOptions options;
  options.path = sample("zsre.json");
  const RecordingSink counterfactual = read_format("zsre", options);
  ASSERT_THAT(counterfactual.edits, SizeIs(2));
  EXPECT_EQ(counterfactual.edits[0].target_new, "Torvik");
  EXPECT_EQ(counterfactual.edits[0].target_true, "Astra");
  EXPECT_THAT(
      counterfactual.edits[0].locality,
      ElementsAre(Probe{"nq question: who sang the first song?", {"Una Holm"}, "nq"}));
  EXPECT_EQ(counterfactual.edits[1].id, "2"); // its number in the file, as peers count
  EXPECT_THAT(counterfactual.edits[1].locality, IsEmpty());
  ASSERT_THAT(counterfactual.skips, SizeIs(1)); // alt is empty
  ASSERT_THAT(counterfactual.remarks, SizeIs(2));
  EXPECT_THAT(counterfactual.remarks[0], HasSubstr("nq question: "));
  EXPECT_THAT(counterfactual.remarks[1], HasSubstr("subject 'NORRA' is not in the prompt"));

  options.zsre_target = "answers";
  const RecordingSink truth = read_format("zsre", options);
  ASSERT_THAT(truth.edits, SizeIs(3));
  EXPECT_EQ(truth.edits[0].target_new, "Astra");
  EXPECT_THAT(truth.edits[0].target_aliases, ElementsAre("Astra City"));
  EXPECT_EQ(truth.edits[0].target_true, "");

  options.zsre_target = "both";
  expect_error(ErrorCode::kInvalidArgument, {"'both'", "alt or answers"}, [&] {
    read_format("zsre", options);
  });
}

TEST(Importers, KnowEditTakesAllAliasesOfNestedLists) {
  const RecordingSink read = read_sample("knowedit", "knowedit.json");
  ASSERT_THAT(read.edits, SizeIs(2));
  EXPECT_EQ(read.edits[0].target_true, "Astra");
  EXPECT_THAT(
      read.edits[0].portability,
      ElementsAre(
          Probe{"The river of Zemlya's capital is", {"Lom"}, "Reasoning"},
          Probe{"The capital of the Land is", {"Torvik", "Torvik Town", "T"}, "Subject_Aliasing"}));
  EXPECT_THAT(
      read.edits[0].locality,
      ElementsAre(Probe{"The continent of Zemlya is", {"Oria"}, "Relation_Specificity"}));
  EXPECT_EQ(read.edits[1].subject, "Ada Berg"); // WikiBio calls it concept, text, labels
  EXPECT_EQ(read.edits[1].prompt, "Write about Ada Berg.");
  EXPECT_EQ(read.edits[1].target_new, "Ada Berg is a mayor.");
  ASSERT_THAT(read.remarks, SizeIs(1));
  EXPECT_THAT(read.remarks[0], HasSubstr("'ground_truth' is empty"));
  ASSERT_THAT(read.skips, SizeIs(1));
  EXPECT_THAT(read.skips[0], HasSubstr("'target_new'"));
}

TEST(Importers, RippleEditsFindsSubjectAndTarget) {
  const RecordingSink read = read_sample("rippleedits", "rippleedits.json");
  ASSERT_THAT(read.edits, SizeIs(2));
  const ExplicitEdit& edit = read.edits[0];
  EXPECT_EQ(edit.prompt, "The name of the country of citizenship of Ada Berg is");
  EXPECT_EQ(edit.target_new, "Norra");
  EXPECT_THAT(edit.target_aliases, ElementsAre("Norra Land"));
  EXPECT_EQ(edit.target_true, "Zemlya");
  EXPECT_EQ(edit.subject, "Ada Berg");
  EXPECT_EQ(edit.relation, "COUNTRY_OF_CITIZENSHIP");
  EXPECT_THAT(
      edit.locality,
      ElementsAre(Probe{
          "The name of the mother of Ada Berg is",
          {"Una Berg", "U. Berg"},
          "Relation_Specificity"}));
  ASSERT_THAT(edit.portability, SizeIs(2));
  EXPECT_EQ(edit.portability[0].kind, "Subject_Aliasing");
  EXPECT_EQ(
      edit.portability[1],
      (Probe{"The capital of the country of Ada Berg is", {"Vik"}, "Compositionality_I"}));
  ASSERT_THAT(read.remarks, SizeIs(1)); // conditions are not kept
  EXPECT_EQ(read.edits[1].prompt, "The name of the employer of Per Lund is");
  EXPECT_EQ(read.edits[1].target_new, "Vik Works");
}

TEST(Importers, WikiBigEditAndLocFT) {
  const RecordingSink wiki = read_sample("wikibigedit", "wikibigedit.json");
  ASSERT_THAT(wiki.edits, SizeIs(2));
  EXPECT_THAT(wiki.edits[0].paraphrases, SizeIs(2));
  EXPECT_EQ(wiki.edits[0].portability[0].answers[0], "Ivo Rask");
  EXPECT_EQ(wiki.edits[0].locality[0].answers[0], "Vik");
  EXPECT_THAT(wiki.edits[1].portability, IsEmpty());
  const RecordingSink locft = read_sample("locft", "locft.json");
  ASSERT_THAT(locft.edits, SizeIs(2));
  EXPECT_EQ(locft.edits[1].prompt, "What is the capital of Norra?");
  EXPECT_EQ(locft.edits[1].target_new, "Lom");
  EXPECT_EQ(locft.edits[1].target_true, "Vik");
  EXPECT_THAT(locft.skips, SizeIs(1));
}

TEST(Importers, EasyEditReadsParallelListsTogether) {
  const RecordingSink read = read_sample("easyedit", "easyedit.json");
  ASSERT_THAT(read.edits, SizeIs(2));
  EXPECT_EQ(read.edits[0].target_true, "Astra");
  EXPECT_THAT(
      read.edits[0].locality,
      ElementsAre(Probe{"The capital of Oria is", {"Ori"}, "neighborhood"}));
  EXPECT_THAT(
      read.edits[0].portability,
      ElementsAre(Probe{"The mayor of Zemlya's capital is", {"Ivo Rask", "Rask"}, "one_hop"}));
  EXPECT_EQ(read.edits[1].target_true, ""); // <|endoftext|> stands for nothing
  EXPECT_THAT(read.edits[1].paraphrases, SizeIs(2));
  EXPECT_THAT(
      read.edits[1].locality,
      ElementsAre(Probe{"A", {"a"}, "neighborhood"}, Probe{"B", {"b", "bb"}, "neighborhood"}));
  EXPECT_THAT(read.skips, SizeIs(1));
}

TEST(Importers, EasyEditListsMustBeEquallyLong) {
  const testing_support::TemporaryDirectory directory;
  ImportOptions options;
  options.path = directory / "e.json";
  write_file(options.path, R"({"prompts": ["a", "b"], "target_new": ["x"]})");
  expect_error(ErrorCode::kCorrupt, {"e.json", "not equally long", "element 1"}, [&] {
    read_format("easyedit", options);
  });
  write_file(options.path, R"([{"prompt": "a"}])");
  expect_error(
      ErrorCode::kCorrupt, {"e.json", "--format"}, [&] { read_format("easyedit", options); });
}

TEST(Importers, FastEdit) {
  const RecordingSink read = read_sample("fastedit", "fastedit.json");
  ASSERT_THAT(read.edits, SizeIs(2));
  EXPECT_EQ(read.edits[1].prompt, "Ivo Rask leads");
  EXPECT_THAT(read.edits[0].paraphrases, ElementsAre("Zemlya's capital is"));
}

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
  EXPECT_THAT(read.skips[1], HasSubstr("entity 9 has no name"));
  EXPECT_THAT(read.skips[2], HasSubstr("ends in 1999, before it begins in 2001"));
  EXPECT_THAT(read.skips[3], HasSubstr("yago11k.txt:7: 2 columns"));
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
  ImportOptions options;
  options.path = sample("table.csv");
  options.mapping = sample("table_mapping.json");
  const RecordingSink read = read_format("table", options);
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
  ImportOptions options;
  options.path = sample("table.jsonl");
  options.mapping = sample("edits_mapping.json");
  const RecordingSink read = read_format("table", options);
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

TEST(Importers, UnknownFormatNamesTheNearest) {
  expect_error(
      ErrorCode::kInvalidArgument, {"'mquak'", "'mquake'"}, [] { import_format("mquak"); });
}

} // namespace
} // namespace errata::datasets
