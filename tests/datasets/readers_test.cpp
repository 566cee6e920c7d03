#include "datasets/readers.h"

#include "core/base/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>

namespace errata::datasets {
namespace {

using testing_support::expect_error;

class ReadersTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) const {
    write_file(directory_ / "in.jsonl", text);
    return directory_ / "in.jsonl";
  }
  std::vector<Fact> facts(const std::string& text) const {
    std::vector<Fact> facts;
    read_facts(write(text), [&](const Fact& fact, std::int64_t) { facts.push_back(fact); });
    return facts;
  }
  void reject_facts(const std::string& text, const std::vector<std::string>& parts) const {
    expect_error(ErrorCode::kCorrupt, parts, [&] { facts(text); });
  }

  testing_support::TemporaryDirectory directory_;
};

TEST_F(ReadersTest, FactsOfAFileFromAnotherSystem) {
  const auto read = facts(
      "\xEF\xBB\xBF{\"subject\": \"A\", \"relation\": \"r\", \"object\": \"x\"}\r\n\r\n"
      R"({"subject": "B", "relation": "r", "object": "y\ny", "valid_from": "2021-03",)"
      R"( "valid_to": "2022", "aliases": ["Y"], "source": "s", "note": "n", "provisional": true})");
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].subject, "A");
  EXPECT_FALSE(read[0].valid_from);
  EXPECT_EQ(read[1].object, "y\ny");
  EXPECT_EQ(to_string(*read[1].valid_from), "2021-03");
  EXPECT_THAT(read[1].aliases, ::testing::ElementsAre("Y"));
  EXPECT_TRUE(read[1].provisional);
}

TEST_F(ReadersTest, WrongFactsAreNamedWithLineAndField) {
  const std::string good = R"({"subject": "A", "relation": "r", "object": "x"})"
                           "\n";
  reject_facts(good + R"({"subject": "A", "relation": "r"})", {"in.jsonl:2", "'object'"});
  reject_facts(good + R"({"subject": "", "relation": "r", "object": "x"})", {":2", "'subject'"});
  reject_facts(
      R"({"subject": "A", "relation": "r", "object": "x", "valid_from": "2021-13-01"})",
      {":1", "'valid_from'", "2021-13-01"});
  reject_facts(
      R"({"subject": "A", "relation": "r", "object": "x", "valid_from": "2021", "valid_to": "2021"})",
      {":1", "'valid_to'"});
  reject_facts(
      R"({"subject": "A", "relation": "r", "object": "x", "aliases": "X"})", {":1", "'aliases'"});
  reject_facts(R"({"subject": "A", )", {":1", "not valid JSON"});
  reject_facts("{\"subject\": \"A\xFF\", \"relation\": \"r\", \"object\": \"x\"}", {":1", "UTF-8"});
  reject_facts("[]", {":1", "object"});
  expect_error(ErrorCode::kInvalidArgument, {":1", "'subjct'", "'subject'"}, [&] {
    facts(R"({"subjct": "A", "relation": "r", "object": "x"})");
  });
  expect_error(ErrorCode::kNotFound, {"none.jsonl"}, [&] {
    read_facts(directory_ / "none.jsonl", [](const Fact&, std::int64_t) {});
  });
}

TEST_F(ReadersTest, Relations) {
  const auto relations = read_relations(write(R"({
    "leads": {"statements": ["{s} leads {o}."], "questions": ["Whom does {s} lead?"],
              "inverse": "led_by", "functional": false},
    "led_by": {"inverse": "leads", "noun": ["the leader of {s}"],
               "inverse_noun": ["what {o} leads"], "step": "{s} is led by {o}.",
               "dated_questions": ["Who led {s} in {t}?"]}})"));
  ASSERT_EQ(relations.size(), 2U);
  EXPECT_EQ(relations[0].name, "leads");
  EXPECT_FALSE(relations[0].functional);
  EXPECT_TRUE(relations[1].functional);
  EXPECT_EQ(relations[1].step, "{s} is led by {o}.");
  const auto corrupt = ErrorCode::kCorrupt;
  expect_error(corrupt, {"'r'", "'statements'", "{o}"}, [&] {
    read_relations(write(R"({"r": {"statements": ["{s} is."]}})"));
  });
  expect_error(corrupt, {"'r'", "inverse", "'q'"}, [&] {
    read_relations(write(R"({"r": {"inverse": "q"}})"));
  });
  expect_error(corrupt, {"'r'", "'q'", "in turn"}, [&] {
    read_relations(write(R"({"r": {"inverse": "q"}, "q": {}})"));
  });
  expect_error(ErrorCode::kInvalidArgument, {"'r'", "'question'", "'questions'"}, [&] {
    read_relations(write(R"({"r": {"question": ["{s}?"]}})"));
  });
}

TEST_F(ReadersTest, ExplicitEdits) {
  const auto edits = read_explicit_edits(write(
      R"({"id": "1", "prompt": "P", "target_new": "N", "paraphrases": ["Q"], "locality":)"
      R"( [{"prompt": "L", "answer": "a", "kind": "k"}], "target_aliases": ["M"],)"
      R"( "portability": [{"prompt": "R", "answer": "b"}], "generation": ["G"], "effective": "2022", "target_true": "O"})"));
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_THAT(edits[0].locality.at(0).answers, ::testing::ElementsAre("a"));
  EXPECT_EQ(edits[0].locality.at(0).kind, "k");
  EXPECT_EQ(edits[0].portability.at(0).prompt, "R");
  EXPECT_THAT(edits[0].target_aliases, ::testing::ElementsAre("M"));
  EXPECT_THAT(edits[0].generation, ::testing::ElementsAre("G"));
  EXPECT_EQ(edits[0].target_true, "O");
  const auto reject = [&](const std::string& text, const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kCorrupt, parts, [&] { read_explicit_edits(write(text)); });
  };
  reject("", {"in.jsonl", "no edits"});
  reject(
      "{\"id\": \"1\", \"prompt\": \"P\", \"target_new\": \"N\"}\n"
      "{\"id\": \"1\", \"prompt\": \"Q\", \"target_new\": \"N\"}\n",
      {":2", "'1'", "earlier line"});
  reject(R"({"id": "1", "prompt": "P", "target_new": ""})", {":1", "'target_new'"});
  reject(R"({"id": 1, "prompt": "P", "target_new": "N"})", {":1", "'id'"});
  reject(
      R"({"id": "1", "prompt": "P", "target_new": "N", "locality": [{"prompt": "L"}]})",
      {":1", "locality[0]", "'answer'"});
}

TEST_F(ReadersTest, MultiHopCases) {
  const std::string start = R"({"id": "m", "questions": ["Q?"], )";
  const auto cases = read_multi_hop(write(
      start + R"("chain": [["a", "r", "b"], ["b", "q", "c"]], )"
              R"("chain_new": [["a", "r", "b"], ["b", "q", "d"]], "edited_hop": "last"})"));
  ASSERT_EQ(cases.size(), 1U);
  EXPECT_EQ(cases[0].start, "a");
  EXPECT_EQ(cases[0].answer, "c");
  EXPECT_EQ(cases[0].new_answer, "d");
  EXPECT_TRUE(cases[0].changed);
  EXPECT_EQ(cases[0].hops(), 2U);
  const auto reject = [&](const std::string& rest, const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kCorrupt, parts, [&] { read_multi_hop(write(start + rest)); });
  };
  reject(R"("chain_new": [["a", "r", "b"], ["x", "q", "c"]]})", {":1", "'chain_new'", "broken"});
  reject(R"("chain_new": [["a", "r"]]})", {":1", "'chain_new'", "three"});
  reject(R"("chain_new": [["a", "r", "b"]], "new_answer": "z"})", {"'new_answer'", "'b'"});
  reject(R"("chain_new": [["a", "r", "b"]], "hops": 3})", {"'hops'"});
  reject(R"("chain_new": [["a", "r", "b"]], "changed": false})", {"'changed'"});
  reject(R"("chain": [["a", "r", "b"]]})", {"'chain_new'", "missing"});
}

} // namespace
} // namespace errata::datasets
