#pragma once

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

// The steps around the model of a tokenizer.json (Hugging Face tokenizers): what is done to a text
// before it is cut, how it is cut into words, and how tokens become text again. A step of a kind
// that is not listed is `kUnsupported` and named with `where`.

namespace errata {

/// What SentencePiece writes for a blank.
inline constexpr const char* kSpaceSign = "\xE2\x96\x81"; // U+2581

/// A part of a text, and whether the whole text begins with it.
struct TextPart {
  std::string text;
  bool first = false;
};

/// Sequence, Prepend, Replace, Strip, NFC, NFD, NFKC, NFKD; null does nothing.
using Normalizer = std::function<std::string(std::string)>;
Normalizer parse_normalizer(const nlohmann::json& step, const std::string& where);

/// Sequence, ByteLevel, Split, Metaspace, Digits; null leaves the text whole.
using PreTokenizer = std::function<std::vector<TextPart>(std::vector<TextPart>)>;
PreTokenizer parse_pre_tokenizer(const nlohmann::json& step, const std::string& where);

/// Sequence, ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip. Null joins the tokens with
/// blanks. The text is what is left, end to end.
using TokenDecoder = std::function<std::vector<std::string>(std::vector<std::string>)>;
TokenDecoder parse_token_decoder(const nlohmann::json& step, const std::string& where);

/// GPT-2's visible characters for bytes, and back: a token with other characters stands for itself.
std::string bytes_as_characters(std::string_view bytes);
std::string characters_as_bytes(const std::string& characters);

} // namespace errata
