#include "core/base/error.h"
#include "core/base/json.h"
#include "core/token_cutting.h"
#include "core/token_steps.h"
#include "core/utf8.h"

#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <unordered_map>

namespace errata {
namespace {

using Texts = std::vector<std::string>;

// GPT-2's table: printable characters of Latin-1 stand for themselves, the other bytes for the
// characters from U+0100 on, in order.
struct ByteCharacters {
  ByteCharacters() {
    char32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool printable =
          (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE);
      std::string& character = characters[byte];
      append_utf8(printable ? static_cast<char32_t>(byte) : next++, character);
      bytes.emplace(character, static_cast<char>(byte));
    }
  }

  std::array<std::string, 256> characters;
  std::unordered_map<std::string, char> bytes;
};

const ByteCharacters& byte_characters() {
  static const ByteCharacters table;
  return table;
}

// "<0xE2>" is the byte E2.
std::optional<char> byte_of(const std::string& token) {
  constexpr std::size_t kLength = 6;
  if (token.size() != kLength || !token.starts_with("<0x") || !token.ends_with('>')) {
    return std::nullopt;
  }
  unsigned value = 0;
  const char* begin = token.data() + 3;
  const auto [end, error] = std::from_chars(begin, begin + 2, value, 16);
  return error == std::errc() && end == begin + 2 ? std::optional(static_cast<char>(value))
                                                  : std::nullopt;
}

// Bytes in a row that are no UTF-8 become a replacement character each.
Texts join_bytes(const Texts& tokens) {
  Texts result;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) {
      return;
    }
    if (is_utf8(bytes)) {
      result.push_back(bytes);
    } else {
      result.insert(result.end(), bytes.size(), kReplacementCharacter);
    }
    bytes.clear();
  };
  for (const std::string& token : tokens) {
    if (const auto byte = byte_of(token)) {
      bytes += *byte;
    } else {
      flush();
      result.push_back(token);
    }
  }
  flush();
  return result;
}

Texts fuse(const Texts& tokens) {
  std::string text;
  for (const std::string& token : tokens) {
    text += token;
  }
  return {text};
}

Texts from_byte_level(const Texts& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) {
    bytes += characters_as_bytes(token);
  }
  return {to_utf8(bytes)};
}

// At most `start` of `content` at the beginning and `stop` at the end.
std::string stripped(std::string text, const std::string& content, int start, int stop) {
  for (int i = 0; i < start && text.starts_with(content); ++i) {
    text.erase(0, content.size());
  }
  for (int i = 0; i < stop && text.ends_with(content); ++i) {
    text.erase(text.size() - content.size());
  }
  return text;
}

template <typename Change>
TokenDecoder each_token(Change change) {
  return [change](Texts tokens) {
    for (std::string& token : tokens) {
      token = change(token);
    }
    return tokens;
  };
}

TokenDecoder metaspace(const JsonFields& fields) {
  const auto sign = std::make_shared<const SearchPattern>(
      Json{{"String", fields.optional<std::string>("replacement", kSpaceSign)}}, fields.where());
  const bool old = fields.optional<bool>("add_prefix_space", true);
  const bool prepended =
      fields.optional<std::string>("prepend_scheme", old ? "always" : "never") != "never";
  return [sign, prepended](Texts tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = sign->replace(tokens[i], i == 0 && prepended ? "" : " ");
    }
    return tokens;
  };
}

} // namespace

std::string bytes_as_characters(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += byte_characters().characters[static_cast<unsigned char>(byte)];
  }
  return text;
}

std::string characters_as_bytes(const std::string& characters) {
  std::string bytes;
  for (std::size_t i = 0; i < characters.size();) {
    const std::size_t length = std::max<std::size_t>(1, utf8_length(characters.substr(i, 4)));
    const auto found = byte_characters().bytes.find(characters.substr(i, length));
    if (found == byte_characters().bytes.end()) {
      return characters;
    }
    bytes += found->second;
    i += length;
  }
  return bytes;
}

TokenDecoder parse_token_decoder(const Json& json, const std::string& where) {
  if (json.is_null()) {
    return [](Texts tokens) {
      for (std::size_t i = 1; i < tokens.size(); ++i) {
        tokens[i].insert(0, 1, ' ');
      }
      return tokens;
    };
  }
  const JsonFields fields(json, where);
  const auto kind = fields.required<std::string>("type");
  if (kind == "Sequence") {
    const Json* list = fields.find("decoders");
    ERRATA_CHECK(
        list != nullptr && list->is_array(),
        ErrorCode::kCorrupt,
        where,
        ": 'decoders' must be a list");
    std::vector<TokenDecoder> steps;
    for (const Json& step : *list) {
      steps.push_back(parse_token_decoder(step, where));
    }
    return [steps](Texts tokens) {
      for (const TokenDecoder& step : steps) {
        tokens = step(std::move(tokens));
      }
      return tokens;
    };
  }
  if (kind == "ByteLevel") {
    return from_byte_level;
  }
  if (kind == "ByteFallback") {
    return join_bytes;
  }
  if (kind == "Fuse") {
    return fuse;
  }
  if (kind == "Metaspace") {
    return metaspace(fields);
  }
  if (kind == "Replace") {
    const Json* pattern = fields.find("pattern");
    ERRATA_CHECK(pattern != nullptr, ErrorCode::kCorrupt, where, ": Replace without 'pattern'");
    const auto search = std::make_shared<const SearchPattern>(*pattern, where);
    return each_token([search, content = fields.required<std::string>("content")](
                          const std::string& token) { return search->replace(token, content); });
  }
  if (kind == "Strip") {
    return each_token([content = fields.required<std::string>("content"),
                       start = fields.optional<int>("start", 0),
                       stop = fields.optional<int>("stop", 0)](const std::string& token) {
      return stripped(token, content, start, stop);
    });
  }
  ERRATA_FAIL(
      ErrorCode::kUnsupported,
      where,
      ": decoder '",
      kind,
      "' is not supported; supported: Sequence, ByteLevel, ByteFallback, Fuse, Metaspace, Replace, "
      "Strip");
}

} // namespace errata
