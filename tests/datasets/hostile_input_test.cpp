#include "core/base/files.h"
#include "core/base/random.h"
#include "datasets/importers/csv_rows.h"
#include "datasets/importers/json_elements.h"
#include "tests/datasets/recording_sink.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>

// Files that are damaged or meant to do harm: the answer is one line that names the place.

namespace errata::datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing_support::expect_error;
using testing_support::read_format;
using testing_support::RecordingSink;
using testing_support::sample;

class HostileInput : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    write_file(directory_ / name, text);
    return directory_ / name;
  }
  RecordingSink read(std::string_view format, const std::string& text) const {
    ImportOptions options;
    options.path = write("in.json", text);
    return read_format(format, options);
  }
  void reject(const std::string& text, const std::vector<std::string>& parts) const {
    expect_error(ErrorCode::kCorrupt, parts, [&] { read("fastedit", text); });
  }

  testing_support::TemporaryDirectory directory_;
};

const std::string kRecord =
    R"({"prompt": "The capital of {} is", "subject": "Zemlya", "target": "Torvik", "queries": []})";

TEST_F(HostileInput, DamagedListsNameLineAndByte) {
  reject("", {"in.json", "empty"});
  reject("  \n", {"in.json", "empty"});
  reject("[", {"in.json:1", "a value is missing", "byte 1"});
  reject("[\n" + kRecord, {"in.json:2", "ends before its last bracket"});
  reject("[\n" + kRecord + "\n" + kRecord + "]", {"in.json:3", "comma"});
  reject("[" + kRecord + ",]", {"in.json:1", "a value is missing"});
  reject("[" + kRecord + "] x", {"in.json:1", "after the end"});
  reject("[{\"prompt\": \"never closed", {"inside a string"});
  reject("[{\"prompt\": \"x\\", {"inside a string"});
  reject("[{\"prompt\": [[", {"inside a list"});
  reject("[{\"prompt\": ]}]", {"in.json:1", "not valid JSON"});
  reject("[\n\n{\"prompt\": tru}]", {"in.json:3 (record 0, byte 3)", "not valid JSON"});
  reject("[{\"prompt\": \"\xFF\"}]", {"in.json:1", "UTF-8"});
  reject("[{\"prompt\": \"\xED\xA0\x80\"}]", {"UTF-8"}); // a surrogate
  reject("\"text\"", {"in.json:1", "expected a JSON list"});
  reject("\xFF\xFE[\0]", {"in.json"}); // UTF-16
}

TEST_F(HostileInput, DeepNestingIsRefusedWithoutUsingTheStack) {
  const std::string deep(200'000, '[');
  reject("[" + deep, {"nested too deeply"});
  reject("[{\"prompt\": " + deep + std::string(200'000, ']') + "}]", {"nested too deeply"});
  ImportOptions options;
  options.path = write("in.jsonl", "{\"prompt\": " + deep + std::string(200'000, ']') + "}\n");
  expect_error(
      ErrorCode::kCorrupt, {"in.jsonl:1", "nested"}, [&] { read_format("fastedit", options); });
  std::string yaml;
  for (int i = 0; i < 2'000; ++i) {
    yaml += std::string(static_cast<std::size_t>(i), ' ') + "- \n";
  }
  options.path = write("in.yaml", yaml);
  expect_error(ErrorCode::kCorrupt, {"in.yaml"}, [&] { read_format("congress", options); });
  options.path = write("flow.yaml", deep);
  expect_error(ErrorCode::kCorrupt, {"flow.yaml"}, [&] { read_format("congress", options); });
}

// The same for every kind of file, as the documentation says.
TEST_F(HostileInput, ElementsNestTo256) {
  const auto list = [](int depth) {
    const auto count = static_cast<std::size_t>(depth);
    return std::string(count, '[') + std::string(count, ']');
  };
  ImportOptions options;
  for (const auto& [format, name] :
       {std::pair("fastedit", "d.json"), std::pair("congress", "d.yaml")}) {
    options.path = write(name, "[" + list(256) + "]");
    EXPECT_THAT(read_format(format, options).skips, SizeIs(1)) << name; // a list is no record
    options.path = write(name, "[" + list(257) + "]");
    expect_error(
        ErrorCode::kCorrupt, {concat(name, ":1"), "nested"}, [&] { read_format(format, options); });
  }
}

TEST_F(HostileInput, WhatIsWrongWithOneRecordCostsThatRecordAlone) {
  const RecordingSink read = this->read(
      "fastedit",
      "\xEF\xBB\xBF[\r\n" + kRecord + ",\r\n17,\r\n{},\r\n[],\r\nnull,\r\n" +
          R"({"prompt": 5, "subject": "a", "target": "b"},)" + "\r\n" +
          R"({"prompt": "{}", "subject": {"x": 1}, "target": "b"},)" + "\r\n" + kRecord +
          "\r\n]\r\n");
  EXPECT_THAT(read.edits, SizeIs(2));
  ASSERT_THAT(read.skips, SizeIs(6));
  EXPECT_THAT(read.skips[0], HasSubstr("in.json:3 (record 1, byte "));
  EXPECT_THAT(read.skips[0], HasSubstr("expected a JSON object, found 17"));
  EXPECT_THAT(read.skips[5], HasSubstr("in.json:8 (record 6"));
  for (const std::string& reason : read.skips) {
    EXPECT_EQ(reason.find('\n'), std::string::npos) << reason;
  }
}

TEST_F(HostileInput, LongAndOddTextsStayAsTheyAre) {
  const std::string longest(1'000'000, 'x');
  const std::string odd = R"(quotes \" ' ` ]}[{ \\ \u0000 tab \t and \ud83d\ude00)";
  const RecordingSink read = this->read(
      "fastedit",
      R"([{"prompt": "{}", "subject": ")" + longest + R"(", "target": ")" + odd + R"("}])");
  ASSERT_THAT(read.edits, SizeIs(1));
  EXPECT_EQ(read.edits[0].subject, longest);
  EXPECT_EQ(
      read.edits[0].target_new,
      std::string("quotes \" ' ` ]}[{ \\ ") + '\0' + " tab \t and \xF0\x9F\x98\x80");
}

TEST_F(HostileInput, AnElementThatNeverEndsIsNotReadWhole) {
  // 70 MiB after a quotation mark that is not closed.
  std::string text = "[\"";
  text.append((std::size_t{70} << 20), 'x');
  reject(text, {"larger than 64 MiB"});
}

TEST_F(HostileInput, CsvRows) {
  const auto rows = [&](const std::string& text) {
    std::vector<std::vector<std::string>> all;
    for (CsvRows reader(write("t.csv", text), ','); reader.next();) {
      all.push_back(reader.cells());
    }
    return all;
  };
  EXPECT_THAT(
      rows("a,b\n\n\"x\ny\",\"\"\"\"\r\n,"),
      ElementsAre(ElementsAre("a", "b"), ElementsAre("x\ny", "\""), ElementsAre("", "")));
  EXPECT_THAT(rows(""), SizeIs(0));
  const auto reject_rows = [&](const std::string& text, const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kCorrupt, parts, [&] { rows(text); });
  };
  reject_rows("a\n\"b\n\n", {"t.csv:2", "not closed"});
  reject_rows("a\n\"b\"c\n", {"t.csv:2", "after the closing"});
  reject_rows("a\nb\"c\n", {"t.csv:2", "inside cell 1"});
  reject_rows("a\nb\xC3\n", {"t.csv:2", "UTF-8"});
}

TEST_F(HostileInput, YamlThatIsNoList) {
  ImportOptions options;
  const auto reject =
      [&](const std::string& text, ErrorCode code, const std::vector<std::string>& parts) {
        SCOPED_TRACE(text);
        options.path = write("y.yaml", text);
        expect_error(code, parts, [&] { read_format("congress", options); });
      };
  reject("", ErrorCode::kCorrupt, {"y.yaml:1: expected a list of records"});
  reject("# no more\n", ErrorCode::kCorrupt, {"y.yaml:1: expected a list of records"});
  reject("a: b\n", ErrorCode::kCorrupt, {"y.yaml:1: expected a list of records"});
  reject("\na\n", ErrorCode::kCorrupt, {"y.yaml:2: expected a list of records"});
  reject("- a\n- *x\n", ErrorCode::kCorrupt, {"y.yaml:2: not YAML"});
  reject("- &x a\n- *x\n", ErrorCode::kUnsupported, {"y.yaml:2: an alias"});
  reject("- {a: [}\n", ErrorCode::kCorrupt, {"y.yaml:1: not YAML"});
  reject("- ? [a]\n  : b\n", ErrorCode::kCorrupt, {"y.yaml:1: a key that is not a text"});
  reject("\"x", ErrorCode::kCorrupt, {"y.yaml:1: "});
  // Half of such a file would be left out without a word.
  for (const std::string rest : {"---\n- b\n", "...\n---\n- b\n", "---\n"}) {
    reject("- a\n" + rest, ErrorCode::kCorrupt, {"y.yaml:", "a second document"});
  }
  reject("- a\n---\n- {b: [}\n", ErrorCode::kCorrupt, {"y.yaml:", "a second document"});
}

TEST_F(HostileInput, YamlListOfAnything) {
  ImportOptions options;
  options.path = write("y.yaml", "%YAML 1.2\n---\n- a\n b\n-\n- []\n...\n");
  const RecordingSink read = read_format("congress", options);
  ASSERT_THAT(read.skips, SizeIs(3));
  EXPECT_THAT(read.skips[0], HasSubstr("y.yaml:3: expected a JSON object"));
  EXPECT_THAT(read.skips[2], HasSubstr("y.yaml:6: expected a JSON object"));
}

// Small random changes to files that are right: whatever comes out, it is a record, a reason or
// one line of an error, and never anything else. The same in every run.
class Mutation : public testing::TestWithParam<std::pair<const char*, const char*>> {};

std::string mutate(std::string text, Random& random) {
  const std::string tokens[] = {
      "[",
      "]",
      "{",
      "}",
      "\"",
      ",",
      ":",
      "null",
      "\\u0000",
      "\n",
      "\t",
      "-",
      "#",
      "0",
      "\xFF",
      "{}"};
  for (std::size_t i = random.index(4) + 1; i > 0 && !text.empty(); --i) {
    const std::size_t place = random.index(text.size());
    switch (random.index(4)) {
      case 0:
        text[place] = static_cast<char>(random.index(256));
        break;
      case 1:
        text.insert(place, tokens[random.index(std::size(tokens))]);
        break;
      case 2:
        text.erase(place, random.index(20) + 1);
        break;
      default:
        text.insert(place, text.substr(random.index(text.size()), random.index(200)));
        break;
    }
  }
  return text;
}

TEST_P(Mutation, GivesRecordsOrOneLine) {
  const auto [format, file] = GetParam();
  const testing_support::TemporaryDirectory directory;
  const std::string right = read_file(sample(file));
  ImportOptions options;
  options.path = directory / std::filesystem::path(file).filename();
  options.mapping =
      sample(std::string(file).ends_with("jsonl") ? "edits_mapping.json" : "table_mapping.json");
  options.entities = sample("entity2id.txt");
  options.relations = std::string(format) == "yago11k" ? sample("relation2id.txt") : "";
  Random random(7);
  int failed = 0;
  for (int round = 0; round < 400; ++round) {
    write_file(options.path, mutate(right, random));
    try {
      const RecordingSink sink = read_format(format, options);
      for (const std::string& reason : sink.skips) {
        EXPECT_THAT(reason, HasSubstr(options.path.filename().string()));
      }
    } catch (const Error& error) {
      ++failed;
      EXPECT_NE(error.code(), ErrorCode::kInternal) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  EXPECT_LT(failed, 400); // some changes leave the file readable
}

INSTANTIATE_TEST_SUITE_P(
    Formats,
    Mutation,
    testing::Values(
        std::pair("mquake", "mquake.json"),
        std::pair("counterfact", "counterfact.json"),
        std::pair("zsre", "zsre.json"),
        std::pair("knowedit", "knowedit.json"),
        std::pair("rippleedits", "rippleedits.json"),
        std::pair("wikibigedit", "wikibigedit.json"),
        std::pair("locft", "locft.json"),
        std::pair("easyedit", "easyedit.json"),
        std::pair("fastedit", "fastedit.json"),
        std::pair("dyknow", "dyknow.json"),
        std::pair("yago11k", "yago11k.txt"),
        std::pair("congress", "congress.yaml"),
        std::pair("table", "table.csv"),
        std::pair("table", "table.jsonl")),
    [](const auto& test) {
      std::string name = test.param.second;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

} // namespace
} // namespace errata::datasets
