#pragma once

#include "core/tokenizer.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace errata::cli {

/// How an instruction model wants one question written: the published form of its family, without a
/// template language.
struct ChatFormat {
  std::string_view name;
  std::string_view system_begin; ///< empty: the system text stands at the head of the user's
  std::string_view system_end;
  std::string_view user_begin;
  std::string_view user_end; ///< up to where the answer begins
  std::string_view turn_end; ///< ends an answer; one token
};

std::vector<std::string> chat_format_names();

/// The format of this name, which must be one of them.
const ChatFormat& chat_format(std::string_view name);

/// `user` as a conversation of one turn; BOS is the tokenizer's business.
std::string chat_prompt(
    const ChatFormat& format, const std::string& system, const std::string& user);

/// The token that ends an answer. `kInvalidArgument` when the tokenizer has none: then the model
/// was not made for this format.
std::int32_t turn_end_token(const ChatFormat& format, const Tokenizer& tokenizer);

} // namespace errata::cli
