#include "cli/chat_format.h"

#include <gtest/gtest.h>

namespace errata::cli {
namespace {

// The forms as the model cards print them.
TEST(ChatFormatTest, WritesWhatTheModelCardsShow) {
  EXPECT_EQ(
      chat_prompt(chat_format("gemma"), "", "Hello"),
      "<start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(
      chat_prompt(chat_format("llama3"), "Be kind.", "Hello"),
      "<|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
      "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
      "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(chat_prompt(chat_format("mistral"), "", "Hello"), "[INST] Hello [/INST]");
  EXPECT_EQ(
      chat_prompt(chat_format("mistral"), "Be kind.", "Hello"), "[INST] Be kind.\n\nHello [/INST]");
  EXPECT_EQ(
      chat_prompt(chat_format("qwen"), "Be kind.", "Hello"),
      "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
      "<|im_start|>assistant\n");
}

} // namespace
} // namespace errata::cli
