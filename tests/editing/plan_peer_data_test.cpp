#include "core/base/files.h"
#include "core/base/json.h"
#include "datasets/factbook.h"
#include "editing/plan/peer_data.h"
#include "editing/store/import.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <set>

// What is exported is what was imported: the real files go through a store and come out again.

namespace errata::editing {
namespace {

using datasets::ExplicitEdit;
using datasets::ExportReport;
using datasets::MultiHopCase;
using testing::HasSubstr;
using testing::SizeIs;
using testing_support::expect_error;

class PeerDataTest : public testing::Test {
 protected:
  ImportReport import(
      const std::string& format, const std::filesystem::path& path, const std::string& set) {
    ImportRequest request;
    request.format = format;
    request.options.path = path;
    request.set = set;
    return import_file(store_, request);
  }

  ExportReport export_set(const std::string& format, const std::string& set) {
    ExportReport report;
    datasets::export_format(format).write(
        peer_data_of_set(store_, set), {}, directory_ / "out.json", report);
    return report;
  }

  Json written() const { return read_json(directory_ / "out.json"); }

  /// Exports the set and reads it into another one.
  void round_trip(
      const std::string& format, const std::string& import_format_name, const std::string& set) {
    report_ = export_set(format, set);
    import(import_format_name, directory_ / "out.json", "again");
  }

  static std::filesystem::path sample(const std::string& name) {
    return std::filesystem::path(ERRATA_SOURCE_DIR) / "tests/datasets/samples" / name;
  }

  testing_support::TemporaryDirectory directory_;
  EditStore store_ = EditStore::create(directory_ / "s.db");
  ExportReport report_;
};

TEST_F(PeerDataTest, MquakeComesOutAsItWentIn) {
  import("mquake", sample("mquake.json"), "m");
  round_trip("mquake", "mquake", "m");
  EXPECT_EQ(report_.written, 2);
  EXPECT_EQ(store_.explicit_edits("again"), store_.explicit_edits("m"));
  const Json original = read_json(sample("mquake.json"));
  const Json out = written();
  for (std::size_t i = 0; i < 2; ++i) {
    for (const char* field :
         {"case_id",
          "questions",
          "answer",
          "new_answer",
          "new_answer_alias",
          "single_hops",
          "new_single_hops"}) {
      EXPECT_EQ(out[i][field], original[i][field]) << field;
    }
    EXPECT_EQ(
        out[i]["requested_rewrite"][0]["prompt"], original[i]["requested_rewrite"][0]["prompt"]);
    EXPECT_EQ(
        out[i]["requested_rewrite"][0]["question"],
        original[i]["requested_rewrite"][0]["question"]);
  }
  EXPECT_EQ(out[0]["orig"]["edit_triples"][0], (Json{"Zemlya", "P36", "Torvik"}));
  EXPECT_EQ(out[0]["orig"]["edit_triples_idx"], Json::array({0}));
}

TEST_F(PeerDataTest, UnknownSetNamesTheNearest) {
  import("mquake", sample("mquake.json"), "mquake");
  expect_error(ErrorCode::kInvalidArgument, {"'mquak'", "'mquake'"}, [&] {
    peer_data_of_set(store_, "mquak");
  });
}

TEST_F(PeerDataTest, WhatAFormatCannotSayIsLeftOutWithAReason) {
  import("zsre", sample("zsre.json"), "z");
  const ExportReport report = export_set("zsre", "z");
  EXPECT_EQ(report.written, 1);
  ASSERT_THAT(report.first_left_out, SizeIs(1));
  EXPECT_THAT(report.first_left_out[0], HasSubstr("'2': it has no locality prompt"));
  import("fastedit", sample("fastedit.json"), "f");
  std::filesystem::remove(directory_ / "out.json");
  expect_error(ErrorCode::kInvalidArgument, {"out.json", "target_true"}, [&] {
    export_set("counterfact", "f");
  });
  EXPECT_FALSE(std::filesystem::exists(directory_ / "out.json"));
}

TEST_F(PeerDataTest, ZsreCarriesTheTargetWhereThePeerLooksForIt) {
  import("zsre", sample("zsre.json"), "z");
  ExportReport report;
  datasets::ExportOptions options;
  options.zsre_target = "answers";
  datasets::export_format("zsre").write(
      peer_data_of_set(store_, "z"), options, directory_ / "out.json", report);
  EXPECT_EQ(written()[0]["answers"], Json::array({"Torvik"}));
  EXPECT_EQ(written()[0]["alt"], "Torvik");
  export_set("zsre", "z");
  EXPECT_EQ(written()[0]["answers"], Json::array({"Astra"}));
  EXPECT_EQ(written()[0]["loc"], "nq question: who sang the first song");
}

// Five years of real changes, in the words of the Factbook's relations.
TEST_F(PeerDataTest, TheDifferenceOfTwoDaysForEveryPeer) {
  import_factbook(store_, datasets::factbook_directory());
  const PeerDifference difference =
      peer_data_of_days(store_, datasets::kFactbookBase, datasets::kFactbookEnd);
  const auto diff = store_.diff(datasets::kFactbookBase, datasets::kFactbookEnd);
  std::set<std::string> ids;
  for (const ExplicitEdit& edit : difference.data.edits) {
    ids.insert(edit.id);
  }
  EXPECT_EQ(difference.data.edits.size() + difference.removals.size(), diff.size());
  EXPECT_EQ(ids.size(), difference.data.edits.size());

  for (const datasets::ExportFormat& format : datasets::export_formats()) {
    ExportReport report;
    format.write(difference.data, {}, directory_ / "out.json", report);
    EXPECT_GT(report.written, 300) << format.name;
    const std::string name(format.name == "counterfact-flat" ? "counterfact" : format.name);
    const ImportReport read = import(name, directory_ / "out.json", std::string(format.name));
    EXPECT_EQ(read.skipped, 0) << format.name;
    EXPECT_EQ(format.name == "mquake" ? read.multi_hop : read.edits, report.written) << format.name;
  }
  // An edit's words are about its own subject and end before its answer.
  const auto kazakhstan = std::find_if(
      difference.data.edits.begin(), difference.data.edits.end(), [](const ExplicitEdit& edit) {
        return edit.subject == "Kazakhstan" && edit.relation == "capital";
      });
  ASSERT_NE(kazakhstan, difference.data.edits.end());
  EXPECT_EQ(kazakhstan->prompt, "The capital of Kazakhstan is");
  EXPECT_EQ(kazakhstan->target_new, "Astana");
  EXPECT_EQ(kazakhstan->target_true, "Nur-Sultan");
  EXPECT_FALSE(kazakhstan->locality.empty());
  EXPECT_FALSE(kazakhstan->portability.empty());
}

class RealPeerDataTest : public PeerDataTest {
 protected:
  void SetUp() override {
    const char* directory = std::getenv("ERRATA_DATA_DIR");
    if (directory == nullptr) {
      GTEST_SKIP() << "ERRATA_DATA_DIR is not set: the real data sets are not here";
    }
    data_ = directory;
  }

  /// Imports the file, exports it, imports that: both sets must be the same.
  void expect_unchanged(
      const std::string& format, const std::string& import_name, const std::string& file) {
    import(import_name, data_ / file, file);
    round_trip(format, import_name, file);
    EXPECT_EQ(report_.left_out, 0) << report_.first_left_out.front();
    EXPECT_TRUE(store_.explicit_edits(file) == store_.explicit_edits("again")) << file;
  }

  std::filesystem::path data_;
};

TEST_F(RealPeerDataTest, CounterFact) {
  const std::string file = "counterfact/counterfact_rome_schema_1031.json";
  expect_unchanged("counterfact", "counterfact", file);
  const Json original = read_json(data_ / file);
  const Json out = written();
  ASSERT_EQ(out.size(), original.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (const char* field :
         {"case_id", "paraphrase_prompts", "neighborhood_prompts", "generation_prompts"}) {
      EXPECT_EQ(out[i][field], original[i][field]) << i << field;
    }
    for (const char* field : {"prompt", "subject", "relation_id"}) {
      EXPECT_EQ(out[i]["requested_rewrite"][field], original[i]["requested_rewrite"][field]) << i;
    }
  }
}

TEST_F(RealPeerDataTest, FlatCounterFact) {
  const std::string file = "counterfact/counterfact_flat_val_1919.json";
  expect_unchanged("counterfact-flat", "counterfact", file);
  EXPECT_EQ(written(), read_json(data_ / file));
}

TEST_F(RealPeerDataTest, Zsre) {
  const std::string file = "zsre/zsre_mend_eval_1037.json";
  expect_unchanged("zsre", "zsre", file);
  const Json original = read_json(data_ / file);
  const Json out = written();
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (const char* field : {"subject", "src", "rephrase", "alt", "loc", "loc_ans"}) {
      EXPECT_EQ(out[i][field], original[i][field]) << i << field;
    }
    EXPECT_EQ(out[i]["answers"][0], original[i]["answers"][0]) << i;
  }
}

TEST_F(RealPeerDataTest, KnowEdit) {
  expect_unchanged("knowedit", "knowedit", "knowedit/zsre_test_all.json");
}

TEST_F(RealPeerDataTest, Mquake) {
  const std::string file = "mquake/MQuAKE-hard.json";
  import("mquake", data_ / file, "m");
  const ExportReport report = export_set("mquake", "m");
  EXPECT_EQ(report.written, 429);
  EXPECT_EQ(report.left_out, 0);
  const Json original = read_json(data_ / file);
  const Json out = written();
  std::size_t questions = 0;
  std::size_t same_questions = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (const char* field :
         {"case_id", "questions", "answer", "answer_alias", "new_answer", "new_answer_alias"}) {
      EXPECT_EQ(out[i][field], original[i][field]) << i << field;
    }
    EXPECT_EQ(out[i]["orig"]["edit_triples_idx"], original[i]["orig"]["edit_triples_idx"]) << i;
    for (std::size_t k = 0; k < 4; ++k) {
      const Json& hop = out[i]["new_single_hops"][k];
      const Json& original_hop = original[i]["new_single_hops"][k];
      EXPECT_EQ(hop["answer"], original_hop["answer"]);
      EXPECT_EQ(hop["cloze"], original_hop["cloze"]);
      ++questions;
      same_questions += hop["question"] == original_hop["question"] ? 1 : 0;
    }
  }
  EXPECT_EQ(same_questions, questions);
}

} // namespace
} // namespace errata::editing
