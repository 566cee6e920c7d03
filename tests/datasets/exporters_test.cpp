#include "core/base/files.h"
#include "core/base/json.h"
#include "datasets/exporters/export_format.h"
#include "tests/datasets/recording_sink.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>

// What is written from edits and cases that no file of a peer would hold. Round trips of whole
// files are in tests/editing/plan_peer_data_test.cpp.

namespace errata::datasets {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing_support::read_format;
using testing_support::RecordingSink;

ExplicitEdit edit_of(const std::string& id) {
  ExplicitEdit edit;
  edit.id = id;
  edit.prompt = "The capital of Zemlya is";
  edit.subject = "Zemlya";
  edit.relation = "capital";
  edit.target_new = "Torvik";
  edit.target_true = "Astra";
  edit.paraphrases = {"Zemlya's capital is"};
  edit.locality = {{"The capital of Norra is", {"Astra"}, "neighborhood"}};
  return edit;
}

MultiHopCase case_of(const std::string& id) {
  MultiHopCase item;
  item.id = id;
  item.chain = {{"Zemlya", "capital", "Astra"}, {"Astra", "mayor", "Ada Berg"}};
  item.chain_new = {{"Zemlya", "capital", "Torvik"}, {"Torvik", "mayor", "Ivo Rask"}};
  item.questions = {"Who leads the capital of Zemlya?"};
  item.answer = "Ada Berg";
  item.new_answer = "Ivo Rask";
  item.edit_ids = {"e"};
  return item;
}

class Exporters : public testing::Test {
 protected:
  Json write(const std::string& format, const PeerData& data) {
    ExportReport report;
    export_format(format).write(data, {}, directory_ / "out.json", report);
    return read_json(directory_ / "out.json");
  }

  /// The numbers that records with these ids get. An id that begins with "-" is left out.
  std::vector<std::int64_t> numbers(
      const std::string& format, const std::vector<std::string>& ids) {
    PeerData data;
    data.words = [](const Hop& hop) { return HopWords{hop.relation + "?", hop.relation}; };
    if (format == "mquake") {
      data.edits = {edit_of("e")};
      for (const std::string& id : ids) {
        data.cases.push_back(case_of(id));
        if (id.starts_with('-')) {
          data.cases.back().edit_ids.clear();
        }
      }
    } else {
      for (const std::string& id : ids) {
        data.edits.push_back(edit_of(id));
        if (id.starts_with('-')) {
          data.edits.back().target_true.clear();
          data.edits.back().paraphrases.clear();
        }
      }
    }
    std::vector<std::int64_t> all;
    for (const Json& record : write(format, data)) {
      all.push_back(record.at("case_id").get<std::int64_t>());
      EXPECT_EQ(record.value("pararel_idx", all.back()), all.back());
    }
    return all;
  }

  testing_support::TemporaryDirectory directory_;
};

TEST_F(Exporters, NumbersAreTheRecordsOwnOrAllOfThemPositions) {
  for (const std::string format : {"mquake", "counterfact", "counterfact-flat"}) {
    SCOPED_TRACE(format);
    EXPECT_THAT(numbers(format, {"7", "0", "12"}), ElementsAre(7, 0, 12));
    EXPECT_THAT(numbers(format, {"a", "0"}), ElementsAre(0, 1));
    EXPECT_THAT(numbers(format, {"1", "b", "0"}), ElementsAre(0, 1, 2));
    EXPECT_THAT(numbers(format, {"5", "05"}), ElementsAre(0, 1)); // one number
    EXPECT_THAT(numbers(format, {"5", "6x", "99999999999999999999"}), ElementsAre(0, 1, 2));
    EXPECT_THAT(numbers(format, {"-1", "9", "8"}), ElementsAre(0, 1)); // of those written
  }
}

TEST_F(Exporters, ProbesWithoutAKindStandBesideThoseOfKindOther) {
  PeerData data;
  data.edits = {edit_of("0"), edit_of("1")};
  data.edits[0].locality = {
      {"A", {"a"}, ""}, {"B", {"b", "bb"}, "other"}, {"C", {"c"}, "near"}, {"D", {}, ""}};
  data.edits[1].locality = {{"E", {"e"}, "other"}};
  data.edits[1].portability = {{"F", {"f"}, ""}};
  const Json out = write("easyedit", data);
  EXPECT_EQ(
      out["locality_inputs"],
      (Json{
          {"near", {{"prompt", {"C", nullptr}}, {"ground_truth", {"c", nullptr}}}},
          {"other",
           {{"prompt", {Json{"A", "B"}, "E"}}, {"ground_truth", {Json{"a", "b"}, "e"}}}}}));
  EXPECT_EQ(
      out["portability_inputs"],
      (Json{{"other", {{"prompt", {nullptr, "F"}}, {"ground_truth", {nullptr, "f"}}}}}));

  ImportOptions options;
  options.path = directory_ / "out.json";
  const RecordingSink again = read_format("easyedit", options);
  EXPECT_THAT(again.remarks, IsEmpty());
  EXPECT_THAT(
      again.edits.at(0).locality,
      ElementsAre(
          Probe{"C", {"c"}, "near"}, Probe{"A", {"a"}, "other"}, Probe{"B", {"b"}, "other"}));
  EXPECT_THAT(again.edits.at(1).locality, ElementsAre(Probe{"E", {"e"}, "other"}));
}

TEST_F(Exporters, EasyEditGetsOneParaphraseOfSeveral) {
  PeerData data;
  data.edits = {edit_of("0"), edit_of("1")};
  data.edits[0].paraphrases = {"Zemlya's capital is", "Which city is the capital of Zemlya?"};
  data.edits[1].paraphrases.clear();
  EXPECT_EQ(write("easyedit", data)["rephrase_prompts"], (Json{"Zemlya's capital is", nullptr}));
}

// Peers fill prompts in by str.format, which stops at braces and at a second place.
TEST_F(Exporters, PromptsThatCannotBeFilledInAreLeftOut) {
  for (const std::string format : {"counterfact", "zsre", "easyedit"}) {
    SCOPED_TRACE(format);
    PeerData data;
    data.edits = {edit_of("0"), edit_of("1"), edit_of("2")};
    data.edits[1].prompt = "The {capital} of Zemlya is";
    data.edits[2].prompt = "In Zemlya, the capital of Zemlya is";
    ExportReport report;
    export_format(format).write(data, {}, directory_ / "out.json", report);
    ASSERT_FALSE(report.first_left_out.empty());
    EXPECT_THAT(report.first_left_out[0], testing::HasSubstr("has a brace"));
    EXPECT_EQ(report.written, format == "zsre" ? 1 : 2);
    if (format == "zsre") {
      EXPECT_THAT(report.first_left_out.at(1), testing::HasSubstr("subject twice"));
      data.edits[0].locality.front().prompt = "What is {x}?";
      EXPECT_THROW(write(format, data), Error);
    }
  }
  PeerData data;
  data.edits = {edit_of("0")};
  data.edits[0].prompt = "In Zemlya, the capital of Zemlya is";
  EXPECT_EQ(
      write("counterfact", data)[0]["requested_rewrite"]["prompt"],
      "In {}, the capital of Zemlya is");
}

TEST_F(Exporters, EasyEditMarksAMissingTruth) {
  PeerData data;
  data.edits = {edit_of("0"), edit_of("1")};
  data.edits[0].target_true.clear();
  const Json out = write("easyedit", data);
  EXPECT_EQ(out["ground_truth"], (Json{"<|endoftext|>", "Astra"}));
}

// As the documentation of the format says.
TEST_F(Exporters, ZsreLeavesOutAnEditWhoseSubjectIsNotInItsPrompt) {
  PeerData data;
  data.edits = {edit_of("0"), edit_of("1")};
  data.edits[0].subject = "ZEMLYA";
  ExportReport report;
  export_format("zsre").write(data, {}, directory_ / "out.json", report);
  EXPECT_EQ(report.written, 1);
  EXPECT_THAT(
      report.first_left_out,
      ElementsAre("'0': its subject is not in its prompt, and the format marks the place"));
  EXPECT_EQ(read_json(directory_ / "out.json")[0]["loc"], "nq question: The capital of Norra is");
}

} // namespace
} // namespace errata::datasets
