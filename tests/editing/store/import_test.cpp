#include "editing/store/import.h"

#include "core/base/files.h"
#include "core/base/interrupt.h"
#include "core/base/resources.h"
#include "tests/editing/store/store_fixture.h"

#include <gmock/gmock.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <malloc.h>
#include <map>
#include <optional>

// Importing into a store: repeatable, all or nothing, with a reason for whatever is left out.

namespace errata::editing {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing_support::expect_error;

ImportRequest request(const std::string& format, const std::filesystem::path& path) {
  ImportRequest result;
  result.format = format;
  result.options.path = path;
  result.options.mapping =
      std::filesystem::path(ERRATA_SOURCE_DIR) / "tests/datasets/samples" /
      (path.extension() == ".csv" ? "table_mapping.json" : "edits_mapping.json");
  return result;
}

ImportRequest sample_request(const std::string& format, const std::string& file) {
  ImportRequest result =
      request(format, std::filesystem::path(ERRATA_SOURCE_DIR) / "tests/datasets/samples" / file);
  if (format == "yago11k") {
    result.options.entities = result.options.path.parent_path() / "entity2id.txt";
    result.options.relations = result.options.path.parent_path() / "relation2id.txt";
  }
  return result;
}

class ImportTest : public StoreTest {
 protected:
  EditStore store_ = EditStore::create(file("s.db"));
};

TEST_F(ImportTest, EverySampleTwiceChangesNothingTheSecondTime) {
  const std::pair<const char*, const char*> samples[] = {
      {"mquake", "mquake.json"},
      {"counterfact", "counterfact.json"},
      {"zsre", "zsre.json"},
      {"knowedit", "knowedit.json"},
      {"rippleedits", "rippleedits.json"},
      {"wikibigedit", "wikibigedit.json"},
      {"locft", "locft.json"},
      {"easyedit", "easyedit.json"},
      {"fastedit", "fastedit.json"},
      {"dyknow", "dyknow.json"},
      {"yago11k", "yago11k.txt"},
      {"congress", "congress.yaml"},
      {"table", "table.csv"},
      {"table", "table.jsonl"}};
  for (const auto& [format, name] : samples) {
    const ImportRequest wanted = sample_request(format, name);
    ImportRequest trial = wanted;
    trial.dry_run = true;
    const std::string before = store_.content_hash();
    const ImportReport dry = import_file(store_, trial);
    EXPECT_EQ(store_.content_hash(), before) << name;
    EXPECT_EQ(dry.change, 0) << name;
    const ImportReport first = import_file(store_, wanted);
    EXPECT_GT(first.added, 0) << name;
    EXPECT_EQ(first.added, dry.added) << name;
    EXPECT_EQ(first.skipped, dry.skipped) << name;
    const std::string after = store_.content_hash();
    const ImportReport second = import_file(store_, wanted);
    EXPECT_EQ(second.change, 0) << name;
    EXPECT_EQ(second.added + second.superseded, 0) << name;
    EXPECT_EQ(second.unchanged, first.read) << name;
    EXPECT_EQ(store_.content_hash(), after) << name;
  }
  EXPECT_THAT(store_.verify(), IsEmpty());
  store_.dump(file("a.jsonl"));
  EditStore::restore(file("a.jsonl"), file("b.db")).dump(file("b.jsonl"));
  EXPECT_EQ(read_file(file("a.jsonl")), read_file(file("b.jsonl")));
}

TEST_F(ImportTest, ProbesAndNamesComeBackAsTheyWere) {
  import_file(store_, sample_request("knowedit", "knowedit.json"));
  import_file(store_, sample_request("counterfact", "counterfact.json"));
  const auto edit = store_.explicit_edit("knowedit", "0");
  ASSERT_TRUE(edit);
  EXPECT_EQ(edit->portability[1].kind, "Subject_Aliasing");
  EXPECT_THAT(edit->portability[1].answers, testing::ElementsAre("Torvik", "Torvik Town", "T"));
  EXPECT_THAT(store_.explicit_edit("counterfact", "0")->generation, SizeIs(2));
  EXPECT_FALSE(store_.explicit_edit("counterfact", "77"));
}

TEST_F(ImportTest, ConflictsOfASetAreReported) {
  // Case 7 needs Ivo Rask for mayor of Torvik, the edit of case 8 makes it Una Holm.
  const ImportReport report = import_file(store_, sample_request("mquake", "mquake.json"));
  EXPECT_EQ(report.multi_hop, 2);
  EXPECT_EQ(report.edits, 2);
  ASSERT_THAT(report.conflicts, SizeIs(1));
  EXPECT_TRUE(report.conflicts[0].with_case);
  EXPECT_EQ(report.conflicts[0].other, "7");
  EXPECT_EQ(report.conflicts[0].edit, "Torvik|P6|Una Holm");
  EXPECT_EQ(report.conflicts[0].needs, "Ivo Rask");

  write_file(
      file("e.json"),
      R"([{"prompt": "{} is", "subject": "A", "target": "x"}, {"prompt": "{} is", "subject": "A", "target": "y"},)"
      R"( {"prompt": "{} was", "subject": "A", "target": "z"}])");
  const ImportReport edits = import_file(store_, request("fastedit", file("e.json")));
  ASSERT_THAT(edits.conflicts, SizeIs(1));
  EXPECT_EQ(edits.conflicts[0].edit, "0");
  EXPECT_EQ(edits.conflicts[0].other, "1");
  EXPECT_FALSE(edits.conflicts[0].with_case);
}

TEST_F(ImportTest, WordingsAreAddedToThoseKnown) {
  datasets::Relation known = relation("P36");
  known.noun = {"the capital of {s}"};
  store_.put_relation(known);
  import_file(store_, sample_request("mquake", "mquake.json"));
  const datasets::Relation merged = store_.relation("P36");
  EXPECT_EQ(merged.noun, known.noun);
  EXPECT_THAT(
      merged.questions,
      testing::ElementsAre("What is the P36 of {s}?", "What is the capital of {s}?"));
}

TEST_F(ImportTest, ARepeatedIdIsLeftOutAndStaysOut) {
  write_file(
      file("c.json"),
      R"([{"case_id": 1, "prompt": "p", "target_new": "a"}, {"case_id": 1, "prompt": "q", "target_new": "b"},)"
      R"( {"case_id": 1, "prompt": "p", "target_new": "a"}, {"case_id": 2, "prompt": "nul \u0000", "target_new": "b"},)"
      R"( {"case_id": 3, "prompt": "  ", "target_new": "b"}])");
  for (int round = 0; round < 2; ++round) {
    const ImportReport report = import_file(store_, request("counterfact", file("c.json")));
    EXPECT_EQ(report.edits, 1);
    EXPECT_EQ(report.added, round == 0 ? 1 : 0);
    ASSERT_THAT(report.first_skipped, SizeIs(3));
    EXPECT_THAT(report.first_skipped[0], HasSubstr("c.json:1 (record 1"));
    EXPECT_THAT(report.first_skipped[0], HasSubstr("id '1'"));
    EXPECT_THAT(report.first_skipped[1], HasSubstr("NUL at byte 4"));
    EXPECT_THAT(report.first_skipped[2], HasSubstr("empty"));
  }
  EXPECT_EQ(store_.explicit_edit("c", "1")->target_new, "a");
}

TEST_F(ImportTest, AnIdIsTakenOnlyByWhatTheStoreTook) {
  write_file(
      file("c.json"),
      R"([{"case_id": 1, "prompt": "nul \u0000", "target_new": "a"},)"
      R"( {"case_id": 1, "prompt": "p", "target_new": "b"}])");
  const ImportReport report = import_file(store_, request("counterfact", file("c.json")));
  ASSERT_THAT(report.first_skipped, SizeIs(1));
  EXPECT_THAT(report.first_skipped[0], HasSubstr("NUL"));
  EXPECT_EQ(store_.explicit_edit("c", "1")->target_new, "b");
}

TEST_F(ImportTest, WhatWasKnownAndDiffersIsCorrectedNotNew) {
  const auto import = [&](const std::string& target) {
    write_file(
        file("c.json"),
        R"([{"case_id": 1, "prompt": "p", "target_new": ")" + target +
            R"("},)"
            R"( {"case_id": 2, "prompt": "q", "target_new": "b"}])");
    const ImportReport report = import_file(store_, request("counterfact", file("c.json")));
    return std::array{report.added, report.superseded, report.unchanged};
  };
  EXPECT_EQ(import("a"), (std::array<std::int64_t, 3>{2, 0, 0}));
  EXPECT_EQ(import("z"), (std::array<std::int64_t, 3>{0, 1, 1}));
  EXPECT_EQ(import("z"), (std::array<std::int64_t, 3>{0, 0, 2}));
}

TEST_F(ImportTest, OwnFilesAreTakenWholeOrNotAtAll) {
  store_.put_relation(relation("capital"));
  const std::string before = store_.content_hash();
  write_file(
      file("f.jsonl"),
      "{\"subject\": \"A\", \"relation\": \"capital\", \"object\": \"x\"}\n"
      "{\"subject\": \"A\", \"relation\": \"captal\", \"object\": \"x\"}\n");
  expect_error(ErrorCode::kInvalidArgument, {"f.jsonl:2", "'captal'", "'capital'"}, [&] {
    import_file(store_, request("facts", file("f.jsonl")));
  });
  write_file(
      file("e.jsonl"),
      "{\"id\": \"1\", \"prompt\": \"p\", \"target_new\": \"a\"}\n"
      "{\"id\": \"1\", \"prompt\": \"q\", \"target_new\": \"a\"}\n");
  expect_error(ErrorCode::kInvalidArgument, {"e.jsonl:2", "'1'"}, [&] {
    import_file(store_, request("edits", file("e.jsonl")));
  });
  EXPECT_EQ(store_.content_hash(), before);
  EXPECT_THAT(store_.log(), SizeIs(1));
}

TEST_F(ImportTest, AnotherFormatIsNoticed) {
  expect_error(ErrorCode::kCorrupt, {"zsre.json", "none of its 3 records", "really mquake"}, [&] {
    import_file(store_, sample_request("mquake", "zsre.json"));
  });
  expect_error(ErrorCode::kInvalidArgument, {"'cvs'"}, [&] {
    import_file(store_, request("cvs", file("x")));
  });
  expect_error(ErrorCode::kInvalidArgument, {"mquake", "path"}, [&] {
    import_file(store_, request("mquake", ""));
  });
  expect_error(ErrorCode::kNotFound, {"x.json"}, [&] {
    import_file(store_, request("mquake", file("x.json")));
  });
}

TEST_F(ImportTest, AnInterruptedImportLeavesTheStoreAsItWas) {
  std::string text = "[";
  for (int i = 0; i < 2000; ++i) {
    text += concat(
        i == 0 ? "" : ",", R"({"prompt": "{} is", "subject": "s)", i, R"(", "target": "x"})");
  }
  write_file(file("many.json"), text + "]");
  int reports = 0;
  expect_error(ErrorCode::kInterrupted, {"unchanged"}, [&] {
    import_file(store_, request("fastedit", file("many.json")), [&](const Progress& progress) {
      EXPECT_EQ(progress.unit, "bytes");
      EXPECT_GT(progress.total, progress.done);
      ++reports;
      set_interrupted(true);
    });
  });
  set_interrupted(false);
  EXPECT_EQ(reports, 1);
  EXPECT_THAT(store_.sets(), IsEmpty());
}

TEST_F(ImportTest, EverySkippedRecordIsHeardOf) {
  ImportRequest wanted = sample_request("yago11k", "yago11k.txt");
  std::vector<std::string> heard;
  wanted.note = [&](std::string_view kind, const std::string& reason) {
    heard.push_back(concat(kind, ' ', reason));
  };
  import_file(store_, wanted);
  ASSERT_THAT(heard, SizeIs(4));
  EXPECT_THAT(heard[3], HasSubstr("skipped "));
  EXPECT_THAT(heard[3], HasSubstr("yago11k.txt:7"));
}

/// Most memory that the process holds while `work` is done; nothing where the system cannot say.
std::optional<std::uint64_t> peak_of(const std::function<void()>& work) {
  malloc_trim(0); // what earlier tests have freed would hide a growth
  std::ofstream reset("/proc/self/clear_refs");
  if (!(reset << "5" << std::flush)) { // sets the peak back to what is held now
    return std::nullopt;
  }
  work();
  return peak_rss_bytes();
}

// Ten times the records may not need more memory: of the file one record is held at a time. The
// large file says again and again what the small one says, for else the store's page cache, which
// may grow to its 64 MB, would be measured too.
TEST_F(ImportTest, MemoryDoesNotGrowWithTheFile) {
  constexpr int kEdits = 2'000;
  const std::string filler(2000, 'x');
  const auto write_records = [&](const std::string& name, int count) {
    AtomicFile out(file(name));
    for (int i = 0; i < count; ++i) {
      out.write(concat(
          i == 0 ? "[" : ",\n",
          R"({"case_id": )",
          i % kEdits,
          R"(, "target_new": "x", "prompt": ")",
          filler,
          R"("})"));
    }
    out.write("]");
    out.commit();
  };
  const auto peak_of_import = [&](const std::string& name) {
    return peak_of([&] {
      EditStore store = EditStore::create(file(name + ".db"));
      EXPECT_EQ(import_file(store, request("counterfact", file(name))).edits, kEdits);
    });
  };
  write_records("small.json", kEdits);      // 4 MB
  write_records("large.json", 10 * kEdits); // 41 MB
  peak_of_import("small.json");             // what is made once is made
  std::filesystem::remove(file("small.json.db"));
  const auto small = peak_of_import("small.json");
  const auto large = peak_of_import("large.json");
  if (!small || !large) {
    GTEST_SKIP() << "this system does not set the peak of memory back";
  }
  EXPECT_LT(*large, *small + 10'000'000);
}

class RealImportTest : public ImportTest {
 protected:
  void SetUp() override {
    const char* directory = std::getenv("ERRATA_DATA_DIR");
    if (directory == nullptr) {
      GTEST_SKIP() << "ERRATA_DATA_DIR is not set: the real data sets are not here";
    }
    directory_ = directory;
  }

  /// Imports twice; the second time may change nothing.
  ImportReport import_twice(const std::string& format, const std::string& name) {
    const ImportReport first = import_file(store_, request(format, directory_ / name));
    const ImportReport second = import_file(store_, request(format, directory_ / name));
    EXPECT_EQ(second.change, 0) << name;
    EXPECT_EQ(second.unchanged, first.read) << name;
    return first;
  }

  std::filesystem::path directory_;
};

// Counts of tests/datasets/count_real_data.py.
TEST_F(RealImportTest, MquakeWithItsConflicts) {
  const ImportReport report = import_twice("mquake", "mquake/MQuAKE-hard.json");
  EXPECT_EQ(report.multi_hop, 429);
  EXPECT_EQ(report.edits, 769);
  EXPECT_EQ(report.relations, 30);
  std::map<bool, int> conflicts;
  for (const SetConflict& conflict : report.conflicts) {
    ++conflicts[conflict.with_case];
  }
  EXPECT_EQ(conflicts[false], 2);
  EXPECT_EQ(conflicts[true], 4);
  EXPECT_THAT(store_.verify(), IsEmpty());
}

TEST_F(RealImportTest, SetsOfEdits) {
  EXPECT_EQ(
      import_twice("counterfact", "counterfact/counterfact_rome_schema_1031.json").edits, 1031);
  EXPECT_EQ(import_twice("counterfact", "counterfact/counterfact_flat_val_1919.json").edits, 1919);
  EXPECT_EQ(import_twice("zsre", "zsre/zsre_mend_eval_1037.json").edits, 1037);
  EXPECT_EQ(import_twice("knowedit", "knowedit/zsre_test_all.json").edits, 1304);
  EXPECT_EQ(import_twice("knowedit", "knowedit/wiki_recent_train.json").edits, 570);
  EXPECT_EQ(store_.statistics().edits, 1031 + 1919 + 1037 + 1304 + 570);
  EXPECT_THAT(store_.verify(), IsEmpty());
}

TEST_F(RealImportTest, DatedFacts) {
  import_twice("dyknow", "dyknow/qa_generated.json");
  EXPECT_EQ(store_.statistics().facts, 1158);
  import_twice("dyknow", "dyknow/grc_generated.json");
  EXPECT_EQ(store_.statistics().facts, 1159); // the same facts in other words, and a president
  import_twice("congress", "congress/executive.yaml");
  EXPECT_EQ(store_.statistics().facts, 1159 + 131);
  import_twice("yago11k", "yago11k/yago_train.txt");
  EXPECT_EQ(store_.statistics().facts, 1159 + 131 + 16320);
  EXPECT_THAT(store_.verify(), IsEmpty());
  // What the files say about some days, read by hand.
  const auto holder = [&](const char* subject, const char* relation, const char* day) {
    FactQuery query;
    query.day = parse_date(day);
    query.subject = subject;
    query.relation = relation;
    std::string names;
    for (const StoredFact& fact : store_.find(query)) {
      names += fact.fact.object + ";";
    }
    return names;
  };
  EXPECT_EQ(holder("United States", "president", "1800-01-01"), "John Adams;");
  EXPECT_EQ(holder("United States", "president", "1963-11-21"), "John Fitzgerald Kennedy;");
  EXPECT_EQ(holder("United States", "president", "1963-11-23"), "Lyndon Baines Johnson;");
  EXPECT_EQ(holder("Italy", "president", "2010-01-01"), "Giorgio Napolitano;");
  EXPECT_EQ(holder("Colombia", "president", "2022-08-06"), "Iván Duque;");
  EXPECT_EQ(holder("Colombia", "president", "2022-08-07"), "Gustavo Petro;");
  EXPECT_EQ(holder("Amazon", "ceo", "2021-07-05"), ""); // a day between two holders
  EXPECT_EQ(holder("Amazon", "ceo", "2021-07-06"), "Andy Jassy;");
}

} // namespace
} // namespace errata::editing
