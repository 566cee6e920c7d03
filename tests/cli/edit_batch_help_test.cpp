#include "cli/command.h"
#include "core/base/json.h"
#include "editing/editor.h"
#include "editing/editor_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <regex>
#include <sstream>

namespace errata {
namespace {

using testing::HasSubstr;

std::string edit_batch_help() {
  const std::array<const char*, 3> arguments = {"errata", "edit-batch", "--help"};
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(cli::run(3, arguments.data(), out, err), 0) << err.str();
  return out.str();
}

// From the help of `option` up to the next one.
std::string help_of(const std::string& help, const std::string& option) {
  const std::size_t at = help.find("\n  " + option + ' ');
  EXPECT_NE(at, std::string::npos) << option;
  return help.substr(at, help.find("\n  --", at + 1) - at);
}

TEST(EditBatchHelpTest, OptionsShowTheDefaultOfEveryMethod) {
  const std::string help = edit_batch_help();
  for (const char* option :
       {"rank",
        "steps",
        "epochs",
        "batch-tokens",
        "optimizer",
        "lr",
        "anchor",
        "null-space",
        "kl"}) {
    const std::string text = help_of(help, concat("--", option));
    for (const editing::EditorInfo& info : editing::editors()) {
      const OrderedJson recipe = editing::to_json(editing::default_options(info.name));
      const OrderedJson& value = recipe.at(option);
      const std::string shown = value.is_string() ? value.get<std::string>() : value.dump();
      // "default 0.0065; 0.0015: ft": the line is broken anywhere.
      const std::string one_line = std::regex_replace(text, std::regex("\\s+"), " ");
      EXPECT_THAT(
          one_line,
          testing::AnyOf(
              testing::ContainsRegex("\\(default " + shown + "[;)]"),
              testing::ContainsRegex("; " + shown + ": [^;)]*" + info.name)))
          << info.name;
    }
  }
  EXPECT_THAT(help_of(help, "--lr"), HasSubstr("0.0005: ft-locft")); // 2509.22072
}

TEST(EditBatchHelpTest, SaysWhyAndWhatEditsGivenOutrightChange) {
  const std::string help = edit_batch_help();
  EXPECT_THAT(help, HasSubstr("Rehearsal"));
  const std::string outright = help.substr(help.find("With --edits or --set the defaults are"));
  EXPECT_THAT(
      outright, testing::ContainsRegex("--epochs 50 [^\n]*--lr 0.001 [^\n]*: lora, dora\n"));
  EXPECT_THAT(outright, testing::Not(HasSubstr("ft-locft"))); // nothing changes there
}

} // namespace
} // namespace errata
