// Chat formats against the templates that the models' authors publish (./test.sh llamacpp fetches
// them; chat_reference.py says which): texts byte for byte, and ids, with one BOS or none.

#include "cli/chat_format.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "tests/support/expect_error.h"
#include "tests/support/python.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

namespace errata::cli {
namespace {

using testing_support::TemporaryDirectory;

namespace fs = std::filesystem;

const fs::path kPlace = ERRATA_SOURCE_DIR "/.deps";

// White space at the ends, a no-break space, line ends, quotes and other scripts; no system text,
// an empty one and one with white space around; days of one and two digits.
const std::vector<ChatTexts> kTexts = {
    {std::nullopt, "Who leads  Italy?", std::nullopt},
    {std::nullopt, "  Who leads\xC2\xA0Italy?\xC2\xA0\n", std::nullopt},
    {"Be kind.\nAlways.", "Wer führt \"Italien\"? 日本 😀\n\nUnd wo?", std::nullopt},
    {"", " x ", std::nullopt},
    {" Be short. ", "x", std::nullopt},
    {std::nullopt, "Who?", Date{2026, 1, 2}},
    {"Be kind.", "Who?", Date{2026, 11, 22}}};

class ChatTemplateTest : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    if (!present()) {
      return;
    }
    Json texts = Json::array();
    for (const ChatTexts& text : kTexts) {
      texts.push_back(
          {{"user", text.user},
           {"system", text.system ? Json(*text.system) : Json()},
           {"today", text.today ? Json(to_string(*text.today)) : Json()}});
    }
    write_file(*directory_ / "texts.json", texts.dump());
    const auto [status, output] = testing_support::run_shell(concat(
        testing_support::python().string(),
        " " ERRATA_SOURCE_DIR "/tests/llamacpp/chat_reference.py ",
        (kPlace / "llamacpp/source/vendor/llama.cpp").string(),
        " ",
        program().string(),
        " ",
        (kPlace / "chat_judges").string(),
        " ",
        directory_->path().string(),
        " ",
        (*directory_ / "texts.json").string(),
        " 2>",
        (*directory_ / "log").string()));
    ASSERT_EQ(status, 0) << read_file(*directory_ / "log");
    judged_ = Json::parse(output);
  }
  static void TearDownTestSuite() { directory_.reset(); }

  void SetUp() override {
    if (!present()) {
      GTEST_SKIP() << "no " << program() << " or " << kPlace / "chat_judges"
                   << "; ./test.sh llamacpp builds and fetches them";
    }
    ASSERT_TRUE(judged_.contains(GetParam())) << "no judge";
  }

  static fs::path program() { return kPlace / "llamacpp/build/llama_chat"; }
  static bool present() { return fs::exists(program()) && fs::exists(kPlace / "chat_judges"); }
  static std::unique_ptr<Tokenizer> tokenizer_of(const std::string& format) {
    return Tokenizer::load(*directory_ / format);
  }

  static std::unique_ptr<TemporaryDirectory> directory_;
  static Json judged_;
};

std::unique_ptr<TemporaryDirectory> ChatTemplateTest::directory_;
Json ChatTemplateTest::judged_;

std::vector<std::string> all_formats() {
  std::vector<std::string> names = chat_format_names();
  std::erase(names, "auto");
  return names;
}

TEST_P(ChatTemplateTest, WritesWhatTheTemplateWrites) {
  const ChatFormat& format = published_chat_format(GetParam());
  std::vector<bool> seen(kTexts.size(), false);
  for (const auto& [judge, texts] : judged_[GetParam()]["texts"].items()) {
    for (std::size_t i = 0; i < kTexts.size(); ++i) {
      if (!texts[i].is_null()) {
        seen[i] = true;
        EXPECT_EQ(chat_prompt(format, kTexts[i]), texts[i].get<std::string>())
            << judge << ", text " << i;
      }
    }
  }
  // No system text and one: every format has a judge of both.
  EXPECT_TRUE(seen[0] && seen[2]);
}

TEST_P(ChatTemplateTest, HasItsIdsAndOneBosOrNone) {
  const auto tokenizer = tokenizer_of(GetParam());
  const ChatFormat format = chat_format(GetParam(), *tokenizer);
  std::size_t compared = 0;
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    const Json& ids = judged_[GetParam()]["ids"][i];
    if (!ids.is_null()) {
      ++compared;
      EXPECT_EQ(
          tokenizer->encode_prompt(chat_prompt(format, kTexts[i])),
          ids.get<std::vector<std::int32_t>>())
          << "text " << i;
    }
  }
  EXPECT_GE(compared, 2U);
}

TEST_P(ChatTemplateTest, IsFoundByItsTokens) {
  const auto tokenizer = tokenizer_of(GetParam());
  if (GetParam() == "mistral-v1") { // no token tells
    testing_support::expect_error(
        ErrorCode::kInvalidArgument, {"--chat auto"}, [&] { chat_format("auto", *tokenizer); });
    return;
  }
  const std::map<std::string, std::string> others = {
      {"qwen1.5", "qwen2"}, {"qwen3-no-think", "qwen3"}};
  const auto other = others.find(GetParam());
  EXPECT_EQ(
      chat_format("auto", *tokenizer).name, other == others.end() ? GetParam() : other->second);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, ChatTemplateTest, testing::ValuesIn(all_formats()), [](const auto& format) {
      std::string name = format.param;
      std::replace_if(
          name.begin(), name.end(), [](char c) { return c == '.' || c == '-'; }, '_');
      return name;
    });

} // namespace
} // namespace errata::cli
