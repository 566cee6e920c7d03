#include "cli/chat_format.h"

#include "core/base/error.h"
#include "core/utf8.h"

#include <algorithm>
#include <cstdio>

namespace errata::cli {
namespace {

constexpr std::string_view kDay = "{day}"; // in ChatFormat::system_begin

constexpr std::string_view kLlamaSystem = "<|start_header_id|>system<|end_header_id|>\n\n";
constexpr std::string_view kLlamaDatedSystem =
    "<|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: {day}\n\n";

using DefaultSystem = std::optional<std::string_view>;

// `mark`: a token of this version, beside those of all.
constexpr ChatFormat llama3(
    std::string_view name,
    std::string_view models,
    std::string_view mark,
    std::string_view system_begin,
    DefaultSystem default_system) {
  return {
      .name = name,
      .models = models,
      .system_begin = system_begin,
      .system_end = "<|eot_id|>",
      .user_begin = "<|start_header_id|>user<|end_header_id|>\n\n",
      .user_end = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
      .turn_end = "<|eot_id|>",
      .marks = {"<|start_header_id|>", mark},
      .trims_user = true,
      .trims_system = true,
      .default_system = default_system};
}

constexpr std::string_view kQwenAnswer = "<|im_end|>\n<|im_start|>assistant\n";
constexpr std::string_view kQwenNoThought =
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";

constexpr ChatFormat qwen(
    std::string_view name,
    std::string_view models,
    std::string_view mark,
    DefaultSystem default_system,
    std::string_view user_end = kQwenAnswer) {
  return {
      .name = name,
      .models = models,
      .system_begin = "<|im_start|>system\n",
      .system_end = "<|im_end|>\n",
      .user_begin = "<|im_start|>user\n",
      .user_end = user_end,
      .turn_end = "<|im_end|>",
      .marks = {"<|im_start|>", mark},
      .default_system = default_system};
}

// Of each family the latest first: "auto" takes the first that fits. In Mistral's, [INST] became a
// token with version 3, and the tokenizer byte-level with Tekken, which wants no blanks.
constexpr std::array<ChatFormat, 13> kFormats = {{
    {.name = "gemma",
     .models = "Gemma 1, 2, 3",
     .system_end = "\n\n",
     .user_begin = "<start_of_turn>user\n",
     .user_end = "<end_of_turn>\n<start_of_turn>model\n",
     .turn_end = "<end_of_turn>",
     .marks = {"<start_of_turn>"},
     .trims_user = true},
    llama3("llama3.1", "Llama 3.1, 3.2, 3.3", "<|eom_id|>", kLlamaDatedSystem, ""),
    llama3("llama3", "Llama 3", "", kLlamaSystem, {}),
    qwen("qwen3", "Qwen 3, which thinks first", "<think>", {}),
    qwen("qwen3-no-think", "Qwen 3, told to answer at once", "<think>", {}, kQwenNoThought),
    qwen(
        "qwen2.5",
        "Qwen 2.5",
        "<tool_call>",
        "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    qwen("qwen2", "Qwen 2", "", "You are a helpful assistant."),
    qwen("qwen1.5", "Qwen 1.5; auto takes it for Qwen 2", "", "You are a helpful assistant"),
    {.name = "mistral-v7-tekken",
     .models = "Mistral Small 24B",
     .system_begin = "[SYSTEM_PROMPT]",
     .system_end = "[/SYSTEM_PROMPT]",
     .user_begin = "[INST]",
     .user_end = "[/INST]",
     .turn_end = "</s>",
     .marks = {"[SYSTEM_PROMPT]", "[INST]"},
     .writes_blanks = false},
    {.name = "mistral-v7",
     .models = "Mistral Large of November 2024",
     .system_begin = "[SYSTEM_PROMPT] ",
     .system_end = "[/SYSTEM_PROMPT]",
     .user_begin = "[INST] ",
     .user_end = "[/INST]",
     .turn_end = "</s>",
     .marks = {"[SYSTEM_PROMPT]", "[INST]"},
     .writes_blanks = true},
    {.name = "mistral-v3-tekken",
     .models = "Mistral Nemo, Ministral 8B",
     .system_end = "\n\n",
     .user_begin = "[INST]",
     .user_end = "[/INST]",
     .turn_end = "</s>",
     .marks = {"[INST]"},
     .writes_blanks = false},
    {.name = "mistral-v3",
     .models = "Mistral 7B v0.3, Mistral Small 22B",
     .system_end = "\n\n",
     .user_begin = "[INST] ",
     .user_end = "[/INST]",
     .turn_end = "</s>",
     .marks = {"[INST]"},
     .writes_blanks = true},
    {.name = "mistral-v1",
     .models = "Mistral 7B v0.1 and v0.2; not found by auto",
     .system_end = "\n\n",
     .user_begin = " [INST] ",
     .user_end = " [/INST]",
     .turn_end = "</s>",
     .spelled_out = "[INST]",
     .writes_blanks = true},
}};

bool is_one_token(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  return ids.size() == 1 && tokenizer.piece(ids.front()) == text;
}

// Whether a text that follows the token `mark` (empty: begins) gets a blank from the tokenizer.
bool writes_blank_after(const Tokenizer& tokenizer, std::string_view mark) {
  const std::vector<std::int32_t> ids = tokenizer.encode(concat(mark, "a"));
  const std::size_t place = mark.empty() ? 0 : 1;
  return ids.size() > place && tokenizer.piece(ids[place]).starts_with("\xE2\x96\x81");
}

/// What speaks against a format, or nothing.
std::string misfit(const ChatFormat& format, const Tokenizer& tokenizer) {
  for (const std::string_view mark : {format.turn_end, format.marks[0], format.marks[1]}) {
    if (!mark.empty() && !is_one_token(tokenizer, mark)) {
      return concat("the tokenizer has no token '", mark, "'");
    }
  }
  if (!format.spelled_out.empty() && is_one_token(tokenizer, format.spelled_out)) {
    return concat("the tokenizer has '", format.spelled_out, "' as a token");
  }
  if (format.writes_blanks && *format.writes_blanks != writes_blank_after(tokenizer, "")) {
    return *format.writes_blanks ? "the tokenizer is none of SentencePiece's kind"
                                 : "the tokenizer is one of SentencePiece's kind";
  }
  return {};
}

// A blank of the template that the tokenizer writes itself would be there twice.
void leave_blank_to_tokenizer(std::string_view& begin, const Tokenizer& tokenizer) {
  if (begin.starts_with(' ') && writes_blank_after(tokenizer, "")) {
    begin.remove_prefix(1);
  }
  const std::string_view mark = begin.substr(0, begin.find_last_not_of(' ') + 1);
  if (begin.ends_with(' ') && is_one_token(tokenizer, mark) &&
      writes_blank_after(tokenizer, mark)) {
    begin.remove_suffix(1);
  }
}

const ChatFormat& find_format(std::string_view name, const Tokenizer& tokenizer) {
  if (name != "auto") {
    const ChatFormat& format = published_chat_format(name);
    const std::string problem = misfit(format, tokenizer);
    ERRATA_CHECK(
        problem.empty(),
        ErrorCode::kInvalidArgument,
        "--chat ",
        name,
        ": ",
        problem,
        "; this model was not made for that format");
    return format;
  }
  const auto* found = std::find_if(kFormats.begin(), kFormats.end(), [&](const ChatFormat& format) {
    return !format.marks[0].empty() && misfit(format, tokenizer).empty();
  });
  ERRATA_CHECK(
      found != kFormats.end(),
      ErrorCode::kInvalidArgument,
      "--chat auto: the tokenizer has the tokens of no known chat format; name one (errata "
      "generate --help lists them) or leave --chat away");
  return *found;
}

// The day in Llama 3.1's template, which nothing else replaces there.
constexpr Date kTemplateDay = {2024, 7, 26};

std::string day_of(const Date& day) {
  constexpr std::array<const char*, 12> kMonths = {
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::array<char, 16> text{};
  const auto month = static_cast<std::size_t>(day.month - 1);
  std::snprintf(text.data(), text.size(), "%02d %s %04d", day.day, kMonths.at(month), day.year);
  return text.data();
}

std::string begin_of_system(const ChatFormat& format, const std::optional<Date>& today) {
  std::string begin(format.system_begin);
  const std::size_t place = begin.find(kDay);
  ERRATA_CHECK(
      place != std::string::npos || !today,
      ErrorCode::kInvalidArgument,
      "--today: the chat format ",
      format.name,
      " says no day; leave it away");
  return place == std::string::npos
             ? begin
             : begin.replace(place, kDay.size(), day_of(today.value_or(kTemplateDay)));
}

} // namespace

std::vector<std::string> chat_format_names() {
  std::vector<std::string> names = {"auto"};
  for (const ChatFormat& format : kFormats) {
    names.emplace_back(format.name);
  }
  return names;
}

std::string chat_format_help() {
  std::string help = "Chat formats (auto: the latest whose tokens the tokenizer has):\n";
  constexpr std::size_t kColumn = 20;
  for (const ChatFormat& format : kFormats) {
    help += concat(
        "  ", format.name, std::string(kColumn - format.name.size(), ' '), format.models, '\n');
  }
  return help;
}

const ChatFormat& published_chat_format(std::string_view name) {
  const auto* found = std::find_if(kFormats.begin(), kFormats.end(), [&](const ChatFormat& format) {
    return format.name == name;
  });
  ERRATA_CHECK(found != kFormats.end(), ErrorCode::kInvalidArgument, "no chat format '", name, "'");
  return *found;
}

ChatFormat chat_format(std::string_view name, const Tokenizer& tokenizer) {
  ChatFormat format = find_format(name, tokenizer);
  leave_blank_to_tokenizer(format.system_begin, tokenizer);
  leave_blank_to_tokenizer(format.user_begin, tokenizer);
  return format;
}

std::string chat_prompt(const ChatFormat& format, const ChatTexts& texts) {
  const auto trimmed = [](std::string_view text, bool trims) {
    return trims ? without_outer_space(text) : text;
  };
  const std::string begin = begin_of_system(format, texts.today);
  const std::string_view user = trimmed(texts.user, format.trims_user);
  const std::string_view system = texts.system ? trimmed(*texts.system, format.trims_system)
                                               : format.default_system.value_or("");
  if (begin.empty() && !system.empty()) {
    return concat(format.user_begin, system, format.system_end, user, format.user_end);
  }
  const bool has_turn = !begin.empty() && (texts.system || format.default_system);
  return concat(
      has_turn ? concat(begin, system, format.system_end) : "",
      format.user_begin,
      user,
      format.user_end);
}

std::int32_t turn_end_token(const ChatFormat& format, const Tokenizer& tokenizer) {
  return tokenizer.encode(format.turn_end).front();
}

} // namespace errata::cli
