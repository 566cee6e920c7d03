// Runs the commands of docs/store.md and compares what they print with what the page says.

#include "core/base/files.h"
#include "tests/support/python.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <vector>

namespace errata {
namespace {

struct Example {
  int line = 0; ///< of the page
  std::string command;
  std::vector<std::string> output;
};

/// Lines after "$ " in fenced blocks, each with the lines that follow it.
std::vector<Example> examples_of(const std::string& page) {
  std::vector<Example> examples;
  std::istringstream lines(page);
  bool fenced = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.starts_with("```")) {
      fenced = !fenced;
    } else if (fenced && line.starts_with("$ ")) {
      examples.push_back({number, line.substr(2), {}});
    } else if (fenced && !examples.empty()) {
      examples.back().output.push_back(line);
    }
  }
  return examples;
}

// Columns are as wide as their longest cell; the page need not be.
std::vector<std::string> words_of(const std::vector<std::string>& lines) {
  std::vector<std::string> words;
  for (const std::string& line : lines) {
    std::istringstream in(line);
    for (std::string word; in >> word;) {
      words.push_back(word);
    }
    words.emplace_back("\n");
  }
  return words;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
  }
  return lines;
}

TEST(StoreExampleTest, ThePageSaysWhatTheCommandsPrint) {
  const std::string page = std::string(ERRATA_SOURCE_DIR) + "/docs/store.md";
  const std::vector<Example> examples = examples_of(read_file(page));
  ASSERT_GT(examples.size(), 15U);
  const testing_support::TemporaryDirectory directory;
  write_file(
      directory / "relations.json",
      R"({"capital": {"questions": ["What is the capital of {s}?"], "step": "The capital of {s} is {o}."}})");
  const std::string program = ERRATA_PROGRAM;
  for (const Example& example : examples) {
    SCOPED_TRACE(page + ":" + std::to_string(example.line));
    const bool ours = example.command.starts_with("errata ");
    const std::string command =
        ours ? "'" + program + "'" + example.command.substr(6) + " --progress none"
             : example.command;
    const auto [code, output] = testing_support::run_shell(
        "cd '" + directory.path().string() + "' && " + command + " 2>&1");
    const bool fails = !example.output.empty() && example.output.front().starts_with("errata: ");
    EXPECT_EQ(code, fails ? 2 : 0) << output;
    if (!example.output.empty()) {
      EXPECT_EQ(words_of(lines_of(output)), words_of(example.output)) << output;
    }
  }
}

} // namespace
} // namespace errata
