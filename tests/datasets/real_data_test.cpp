#include "tests/datasets/recording_sink.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <set>

// The real files, with the counts that tests/datasets/count_real_data.py makes from them without
// this code.

namespace errata::datasets {
namespace {

using testing_support::read_format;
using testing_support::RecordingSink;

class RealData : public testing::Test {
 protected:
  void SetUp() override {
    const char* directory = std::getenv("ERRATA_DATA_DIR");
    if (directory == nullptr) {
      GTEST_SKIP() << "ERRATA_DATA_DIR is not set: the real data sets are not here";
    }
    directory_ = directory;
  }

  RecordingSink read(
      std::string_view format, const std::string& file, const std::string& target = "alt") const {
    ImportOptions options;
    options.path = directory_ / file;
    options.zsre_target = target;
    return read_format(format, options);
  }

  std::filesystem::path directory_;
};

std::size_t count(
    const std::vector<ExplicitEdit>& edits, std::vector<std::string> ExplicitEdit::*list) {
  std::size_t all = 0;
  for (const ExplicitEdit& edit : edits) {
    all += (edit.*list).size();
  }
  return all;
}

std::map<std::string, std::size_t> by_kind(
    const std::vector<ExplicitEdit>& edits, std::vector<Probe> ExplicitEdit::*list) {
  std::map<std::string, std::size_t> kinds;
  for (const ExplicitEdit& edit : edits) {
    for (const Probe& probe : edit.*list) {
      ++kinds[probe.kind];
    }
  }
  return kinds;
}

std::size_t count_answers(const std::vector<ExplicitEdit>& edits) {
  std::size_t all = 0;
  for (const ExplicitEdit& edit : edits) {
    for (const auto* probes : {&edit.locality, &edit.portability}) {
      for (const Probe& probe : *probes) {
        all += probe.answers.size();
      }
    }
  }
  return all;
}

using Kinds = std::map<std::string, std::size_t>;

TEST_F(RealData, Mquake) {
  const RecordingSink data = read("mquake", "mquake/MQuAKE-hard.json");
  EXPECT_EQ(data.cases.size(), 429U);
  EXPECT_EQ(data.edits.size(), 1716U); // cases share them
  std::map<std::string, ExplicitEdit> unique;
  for (const ExplicitEdit& edit : data.edits) {
    const auto [place, added] = unique.emplace(edit.id, edit);
    EXPECT_EQ(place->second, edit) << edit.id;
  }
  EXPECT_EQ(unique.size(), 769U);
  std::set<std::string> relations;
  for (const Relation& relation : data.relations) {
    relations.insert(relation.name);
  }
  EXPECT_EQ(relations.size(), 30U);
  EXPECT_EQ(data.entities.size(), 3109U);
  for (const MultiHopCase& item : data.cases) {
    EXPECT_EQ(item.chain_new.size(), 4U);
    EXPECT_EQ(item.edit_ids.size(), 4U);
    EXPECT_EQ(item.questions.size(), 3U);
    EXPECT_EQ(item.new_answer, item.chain_new.back().object);
  }
  EXPECT_TRUE(data.skips.empty());
}

TEST_F(RealData, CounterFact) {
  const RecordingSink rome = read("counterfact", "counterfact/counterfact_rome_schema_1031.json");
  EXPECT_EQ(rome.edits.size(), 1031U);
  EXPECT_EQ(count(rome.edits, &ExplicitEdit::paraphrases), 2062U);
  EXPECT_EQ(by_kind(rome.edits, &ExplicitEdit::locality), (Kinds{{"neighborhood", 10310}}));
  EXPECT_EQ(by_kind(rome.edits, &ExplicitEdit::portability), (Kinds{{"portability", 1031}}));
  EXPECT_EQ(count(rome.edits, &ExplicitEdit::generation), 10310U);
  const RecordingSink flat = read("counterfact", "counterfact/counterfact_flat_val_1919.json");
  EXPECT_EQ(flat.edits.size(), 1919U);
  EXPECT_EQ(by_kind(flat.edits, &ExplicitEdit::locality), (Kinds{{"neighborhood", 1919}}));
  EXPECT_TRUE(rome.skips.empty() && flat.skips.empty());
}

TEST_F(RealData, Zsre) {
  const RecordingSink alt = read("zsre", "zsre/zsre_mend_eval_1037.json");
  EXPECT_EQ(alt.edits.size(), 1037U);
  EXPECT_EQ(by_kind(alt.edits, &ExplicitEdit::locality), (Kinds{{"nq", 1037}}));
  EXPECT_EQ(by_kind(alt.edits, &ExplicitEdit::portability), (Kinds{{"portability", 1037}}));
  EXPECT_TRUE(alt.skips.empty() && alt.remarks.empty());
  const RecordingSink answers = read("zsre", "zsre/zsre_mend_eval_1037.json", "answers");
  EXPECT_EQ(answers.edits.size(), 1037U);
  EXPECT_EQ(count(answers.edits, &ExplicitEdit::target_aliases), 46U);
}

TEST_F(RealData, KnowEdit) {
  const RecordingSink zsre = read("knowedit", "knowedit/zsre_test_all.json");
  EXPECT_EQ(zsre.edits.size(), 1304U);
  EXPECT_EQ(by_kind(zsre.edits, &ExplicitEdit::locality), (Kinds{{"Relation_Specificity", 2608}}));
  EXPECT_EQ(
      by_kind(zsre.edits, &ExplicitEdit::portability),
      (Kinds{{"Logical_Generalization", 269}, {"Reasoning", 771}, {"Subject_Aliasing", 264}}));
  EXPECT_EQ(count_answers(zsre.edits), 3912U);
  EXPECT_TRUE(zsre.skips.empty() && zsre.remarks.empty());
  const RecordingSink recent = read("knowedit", "knowedit/wiki_recent_train.json");
  EXPECT_EQ(recent.edits.size(), 570U);
  EXPECT_EQ(
      by_kind(recent.edits, &ExplicitEdit::locality),
      (Kinds{{"Forgetfulness", 298}, {"Relation_Specificity", 1641}}));
  EXPECT_EQ(
      by_kind(recent.edits, &ExplicitEdit::portability),
      (Kinds{{"Logical_Generalization", 223}, {"Reasoning", 476}, {"Subject_Aliasing", 52}}));
  EXPECT_EQ(count_answers(recent.edits), 19866U);
  EXPECT_TRUE(recent.skips.empty());
  EXPECT_EQ(recent.remarks.size(), 7U); // probes without an answer
}

TEST_F(RealData, DyKnow) {
  const RecordingSink questions = read("dyknow", "dyknow/qa_generated.json");
  EXPECT_EQ(questions.facts.size(), 1159U);
  EXPECT_TRUE(questions.skips.empty());
  const RecordingSink openings = read("dyknow", "dyknow/grc_generated.json");
  EXPECT_EQ(openings.facts.size(), 1151U);
  EXPECT_TRUE(openings.skips.empty());
  std::set<std::pair<std::string, std::string>> slots;
  for (const Fact& fact : questions.facts) {
    slots.emplace(fact.subject, fact.relation);
  }
  EXPECT_EQ(slots.size(), 132U);
}

TEST_F(RealData, Yago11k) {
  const std::map<std::string, std::pair<std::size_t, std::size_t>> expected = {
      {"train", {16320, 88}},
      {"valid", {2044, 6}},
      {"test", {2050, 1}},
      {"triple2id", {20414, 95}}};
  for (const auto& [part, counts] : expected) {
    const RecordingSink data = read("yago11k", "yago11k/yago_" + part + ".txt");
    EXPECT_EQ(data.facts.size(), counts.first) << part;
    EXPECT_EQ(data.skips.size(), counts.second) << part;
  }
}

TEST_F(RealData, Congress) {
  const RecordingSink data = read("congress", "congress/executive.yaml");
  EXPECT_EQ(data.facts.size(), 131U);
  EXPECT_TRUE(data.skips.empty());
  std::map<std::string, std::size_t> relations;
  std::set<std::string> people;
  for (const Fact& fact : data.facts) {
    ++relations[fact.relation];
    people.insert(fact.object);
  }
  EXPECT_EQ(relations, (Kinds{{"president", 69}, {"vice_president", 62}}));
  EXPECT_EQ(people.size(), 80U);
}

} // namespace
} // namespace errata::datasets
