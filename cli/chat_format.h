#pragma once

#include "core/base/date.h"
#include "core/generation.h"
#include "core/tokenizer.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace errata::cli {

/// How the instruction models of one version of a family want a question written, without a
/// template language: the text that the chat template of their authors makes of a conversation of
/// one turn (tests/llamacpp/chat_format_test.cpp compares them).
struct ChatFormat {
  std::string_view name;
  std::string_view models; ///< for --help
  /// Empty: a system text that is not stands at the head of the user's.
  std::string_view system_begin = {};
  std::string_view system_end = {};
  std::string_view user_begin = {};
  std::string_view user_end = {}; ///< up to where the answer begins
  std::string_view turn_end = {}; ///< ends an answer; one token
  /// Tokens that every tokenizer of these models has, turn_end aside; "" for fewer than two.
  std::array<std::string_view, 2> marks = {};
  std::string_view spelled_out = {}; ///< must not be one token; empty: nothing
  /// Whether the tokenizer itself writes the blank in front of a text, as SentencePiece does; where
  /// it says nothing, both do.
  std::optional<bool> writes_blanks = {};
  // Whether white space at both ends of a text goes.
  bool trims_user = false;
  bool trims_system = false;
  /// Without --system; nothing: no system text.
  std::optional<std::string_view> default_system = {};
};

/// What a format is filled with.
struct ChatTexts {
  std::optional<std::string> system;
  std::string user;
  /// What the model is told the day is, where its format says one; nothing: the day that stands in
  /// Llama 3.1's template, so that the same question stays the same.
  std::optional<Date> today;
};

/// "auto" and the name of each format.
std::vector<std::string> chat_format_names();
/// A line for each format, for --help.
std::string chat_format_help();

/// The format of this name, fitted to the tokenizer; with "auto" that of the latest version whose
/// tokens the tokenizer has. `kInvalidArgument` for a tokenizer of other models.
ChatFormat chat_format(std::string_view name, const Tokenizer& tokenizer);
/// As the template has it.
const ChatFormat& published_chat_format(std::string_view name);

/// The texts in the format; BOS is the tokenizer's business. `kInvalidArgument` for a day in a
/// format that has none.
std::string chat_prompt(const ChatFormat& format, const ChatTexts& texts);

/// The token that ends an answer.
std::int32_t turn_end_token(const ChatFormat& format, const Tokenizer& tokenizer);

} // namespace errata::cli
