#include "cli/chat_format.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>

namespace errata::cli {
namespace {

// From the model cards of google/gemma-2-2b-it, meta-llama/Meta-Llama-3-8B-Instruct,
// mistralai/Mistral-7B-Instruct-v0.1 and Qwen/Qwen2-7B-Instruct.
constexpr std::array<ChatFormat, 4> kFormats = {{
    {"gemma",
     "",
     "\n\n",
     "<start_of_turn>user\n",
     "<end_of_turn>\n<start_of_turn>model\n",
     "<end_of_turn>"},
    {"llama3",
     "<|start_header_id|>system<|end_header_id|>\n\n",
     "<|eot_id|>",
     "<|start_header_id|>user<|end_header_id|>\n\n",
     "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
     "<|eot_id|>"},
    {"mistral", "", "\n\n", "[INST] ", " [/INST]", "</s>"},
    {"qwen",
     "<|im_start|>system\n",
     "<|im_end|>\n",
     "<|im_start|>user\n",
     "<|im_end|>\n<|im_start|>assistant\n",
     "<|im_end|>"},
}};

} // namespace

std::vector<std::string> chat_format_names() {
  std::vector<std::string> names;
  for (const ChatFormat& format : kFormats) {
    names.emplace_back(format.name);
  }
  return names;
}

const ChatFormat& chat_format(std::string_view name) {
  const auto* found = std::find_if(kFormats.begin(), kFormats.end(), [&](const ChatFormat& format) {
    return format.name == name;
  });
  ERRATA_CHECK(found != kFormats.end(), ErrorCode::kInvalidArgument, "no chat format '", name, "'");
  return *found;
}

std::string chat_prompt(
    const ChatFormat& format, const std::string& system, const std::string& user) {
  if (system.empty()) {
    return concat(format.user_begin, user, format.user_end);
  }
  if (format.system_begin.empty()) {
    return concat(format.user_begin, system, format.system_end, user, format.user_end);
  }
  return concat(
      format.system_begin, system, format.system_end, format.user_begin, user, format.user_end);
}

std::int32_t turn_end_token(const ChatFormat& format, const Tokenizer& tokenizer) {
  const std::vector<std::int32_t> ids = tokenizer.encode(format.turn_end);
  ERRATA_CHECK(
      ids.size() == 1,
      ErrorCode::kInvalidArgument,
      "--chat ",
      format.name,
      ": the tokenizer has no token '",
      format.turn_end,
      "'; this model was not made for that format");
  return ids.front();
}

} // namespace errata::cli
