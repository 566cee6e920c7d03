#include "core/base/files.h"
#include "core/base/json.h"
#include "tests/datasets/recording_sink.h"
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
using testing_support::RecordingSink;
using testing_support::sample;

RecordingSink read_sample(
    std::string_view format, const std::string& file, const std::string& mapping = {}) {
  ImportOptions options;
  options.path = sample(file);
  if (!mapping.empty()) {
    options.mapping = sample(mapping);
  }
  return read_format(format, options);
}

/// The text as a file, read in this format.
RecordingSink read_text(
    std::string_view format,
    const std::string& name,
    const std::string& text,
    const std::string& mapping = {}) {
  const testing_support::TemporaryDirectory directory;
  ImportOptions options;
  options.path = directory / name;
  write_file(options.path, text);
  if (!mapping.empty()) {
    options.mapping = directory / "mapping.json";
    write_file(options.mapping, mapping);
  }
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

/// Refuses what a store refuses: a case whose id an earlier one has, and an edit of this id.
class RefusingSink : public RecordingSink {
 public:
  explicit RefusingSink(std::string edit_id = {}) : edit_id_(std::move(edit_id)) {}

  void edit(const ExplicitEdit& edit) override {
    ERRATA_CHECK(edit.id != edit_id_, ErrorCode::kInvalidArgument, "edit refused");
    RecordingSink::edit(edit);
  }
  void multi_hop(const MultiHopCase& item) override {
    for (const MultiHopCase& earlier : cases) {
      ERRATA_CHECK(earlier.id != item.id, ErrorCode::kInvalidArgument, "case refused");
    }
    RecordingSink::multi_hop(item);
  }

 private:
  std::string edit_id_;
};

TEST(Importers, MquakeCaseThatIsRefusedLeavesNothing) {
  const testing_support::TemporaryDirectory directory;
  Json records = read_json(sample("mquake.json"));
  records.erase(2);
  ImportOptions options;
  options.path = directory / "m.json";
  const auto read = [&](std::size_t count) {
    write_file(options.path, Json(records.begin(), records.begin() + count).dump());
    RefusingSink sink;
    import_format("mquake").read(options, sink);
    return sink;
  };
  records[1]["case_id"] = records[0]["case_id"];
  const RefusingSink alone = read(1);
  const RefusingSink both = read(2);
  ASSERT_THAT(both.skips, SizeIs(1));
  EXPECT_THAT(both.skips[0], HasSubstr("m.json:1 (record 1, byte "));
  EXPECT_THAT(both.skips[0], HasSubstr("case refused"));
  EXPECT_EQ(both.cases, alone.cases);
  EXPECT_EQ(both.edits, alone.edits);
  EXPECT_EQ(both.relations.size(), alone.relations.size());
  EXPECT_EQ(both.entities.size(), alone.entities.size());
  EXPECT_THAT(both.remarks, IsEmpty());
}

// What a report lists as left out is not in the set: the case is, so its edit is a remark.
TEST(Importers, MquakeEditThatIsRefusedIsARemark) {
  ImportOptions options;
  options.path = sample("mquake.json");
  RefusingSink sink("Zemlya|P36|Torvik");
  import_format("mquake").read(options, sink);
  ASSERT_THAT(sink.cases, SizeIs(2));
  EXPECT_THAT(sink.cases[0].edit_ids, ElementsAre("Zemlya|P36|Torvik"));
  ASSERT_THAT(sink.edits, SizeIs(1));
  EXPECT_EQ(sink.edits[0].id, "Torvik|P6|Una Holm");
  EXPECT_THAT(sink.skips, SizeIs(1)); // the third record, which has no chain
  ASSERT_THAT(sink.remarks, SizeIs(1));
  EXPECT_THAT(sink.remarks[0], HasSubstr("mquake.json:2 (record 0, byte "));
  EXPECT_THAT(sink.remarks[0], HasSubstr("edit refused"));
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

// The target of Ada Berg's edit is where the first of the two hops ends, the answer where the
// second does: no name of one is a name of the other.
TEST(Importers, RippleEditsTakesNoOtherAnswerForTheTargetsName) {
  Json records = read_json(sample("rippleedits.json"));
  records[0].erase("Subject_Aliasing");
  const auto read = [&] { return read_text("rippleedits", "r.json", records.dump()).edits.at(0); };
  EXPECT_EQ(read().prompt, "The name of the country of citizenship of Ada Berg is");
  EXPECT_EQ(read().target_new, "Norra");
  EXPECT_THAT(read().target_aliases, IsEmpty());
  // More answers than ids: the one after the last id is nobody's.
  Json& query = records[0]["Relation_Specifity"][0]["test_queries"][0];
  query["answers"].push_back({{"value", "Nobody"}, {"aliases", {"N."}}});
  EXPECT_EQ(read().target_new, "Norra");
  EXPECT_THAT(read().target_aliases, IsEmpty());
  // And the answer of two hops is known by the id of the second.
  Json& two_hops = records[0]["Compositionality_I"][0]["test_queries"][0];
  two_hops["second_hop_target_ids"] = {"Q8", "Q2"};
  two_hops["answers"] = {
      {{"value", "Vik"}, {"aliases", Json::array()}}, {{"value", "Norra"}, {"aliases", {"NO"}}}};
  EXPECT_EQ(read().target_new, "Norra");
  EXPECT_THAT(read().target_aliases, ElementsAre("NO"));
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

TEST(Importers, ProbeWithoutAnswerIsARemark) {
  const RecordingSink lists = read_text(
      "easyedit",
      "e.json",
      R"({"prompts": ["p", "q"], "target_new": ["x", "y"], "locality_inputs": {"near": )"
      R"({"prompt": [["A", "B"], null], "ground_truth": [["a", []], null]}},)"
      R"( "portability_inputs": {"hop": {"prompt": ["C", "D"], "ground_truth": [" ", "d"]}}})");
  ASSERT_THAT(lists.edits, SizeIs(2));
  EXPECT_THAT(lists.edits[0].locality, ElementsAre(Probe{"A", {"a"}, "near"}));
  EXPECT_THAT(lists.edits[0].portability, IsEmpty());
  EXPECT_THAT(lists.edits[1].portability, ElementsAre(Probe{"D", {"d"}, "hop"}));
  EXPECT_THAT(
      lists.remarks,
      ElementsAre(
          HasSubstr("e.json:1 (record 0, byte 13): 'near' prompt 'B' left out: it has no answer"),
          HasSubstr("e.json:1 (record 0, byte 13): 'hop' prompt 'C' left out: it has no answer")));
  EXPECT_THAT(lists.skips, IsEmpty());

  const std::string mapping =
      R"({"holds": "edits", "fields": {"prompt": "p", "target_new": "t",)"
      R"( "locality": {"prompt": "near", "answer": "is"},)"
      R"( "portability": {"prompt": {"text": "Of {far}?"}, "answer": "then", "kind": "k"}}})";
  const RecordingSink table = read_text(
      "table", "t.csv", "p,t,near,is,far,then\np,x,A,a,B,b\nq,y,C, ,D,\nr,z,,c,,d\n", mapping);
  ASSERT_THAT(table.edits, SizeIs(3));
  EXPECT_THAT(table.edits[0].locality, ElementsAre(Probe{"A", {"a"}, ""}));
  EXPECT_THAT(table.edits[0].portability, ElementsAre(Probe{"Of B?", {"b"}, "k"}));
  for (const std::size_t i : {1, 2}) {
    EXPECT_THAT(table.edits[i].locality, IsEmpty());
    EXPECT_THAT(table.edits[i].portability, IsEmpty());
  }
  EXPECT_THAT(
      table.remarks, // nothing is missing where no prompt is
      ElementsAre(
          HasSubstr("t.csv:3: locality 'C' left out: it has no answer"),
          HasSubstr("t.csv:3: portability 'Of D?' left out: it has no answer")));
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
