// The formats of edits and cases.

#include "core/base/files.h"
#include "core/base/json.h"
#include "tests/datasets/read_sample.h"
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
using testing_support::read_sample;
using testing_support::read_text;
using testing_support::RecordingSink;
using testing_support::sample;

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

} // namespace
} // namespace errata::datasets
