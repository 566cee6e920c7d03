#include "cli/chat_format.h"

#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

namespace errata::cli {
namespace {

// The forms as the model cards print them; ./test.sh llamacpp compares all with published
// templates.
TEST(ChatFormatTest, WritesWhatTheModelCardsShow) {
  const auto prompt = [](const char* name, const ChatTexts& texts) {
    return chat_prompt(published_chat_format(name), texts);
  };
  const ChatTexts plain = {std::nullopt, "Hello", std::nullopt};
  const ChatTexts kind = {"Be kind.", "Hello", std::nullopt};
  EXPECT_EQ(
      prompt("gemma", plain), "<start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(
      prompt("llama3", kind),
      "<|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
      "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
      "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(prompt("mistral-v1", plain), " [INST] Hello [/INST]");
  EXPECT_EQ(prompt("mistral-v3", kind), "[INST] Be kind.\n\nHello[/INST]");
  EXPECT_EQ(
      prompt("qwen3", kind),
      "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
      "<|im_start|>assistant\n");
}

TEST(ChatFormatTest, SaysTheDayThatItIsGiven) {
  const ChatFormat& format = published_chat_format("llama3.1");
  const auto holds = [&](const std::optional<Date>& day, const char* expected) {
    const std::string text = chat_prompt(format, {std::nullopt, "Hello", day});
    EXPECT_NE(text.find(expected), std::string::npos) << text;
  };
  holds(std::nullopt, "\nToday Date: 26 Jul 2024\n\n<|eot_id|>");
  holds(Date{2026, 1, 2}, "\nToday Date: 02 Jan 2026\n\n<|eot_id|>");
  testing_support::expect_error(ErrorCode::kInvalidArgument, {"--today", "gemma"}, [] {
    chat_prompt(published_chat_format("gemma"), {std::nullopt, "Hello", Date{2026, 1, 2}});
  });
}

} // namespace
} // namespace errata::cli
