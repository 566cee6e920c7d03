#include "core/added_tokens.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"

#include <algorithm>
#include <charconv>

namespace errata {
namespace {

namespace fs = std::filesystem;

// No vocabulary comes near this; it keeps a damaged id from sizing anything.
constexpr std::int64_t kLargestId = 100'000'000;

AddedToken parse_token(const Json& value, std::int64_t id, const std::string& where) {
  const JsonFields fields(value, where);
  ERRATA_CHECK(
      id >= 0 && id <= kLargestId,
      ErrorCode::kCorrupt,
      where,
      ": token id ",
      id,
      " is out of range");
  AddedToken token;
  token.id = static_cast<std::int32_t>(id);
  token.content = fields.required<std::string>("content");
  ERRATA_CHECK(!token.content.empty(), ErrorCode::kCorrupt, where, ": empty 'content'");
  token.special = fields.optional<bool>("special", false);
  token.strip_left = fields.optional<bool>("lstrip", false);
  token.strip_right = fields.optional<bool>("rstrip", false);
  return token;
}

void read_tokenizer_json(const fs::path& path, std::map<std::int32_t, AddedToken>& tokens) {
  const Json document = read_json(path);
  const JsonFields fields(document, path.string());
  const Json* list = fields.find("added_tokens");
  if (list == nullptr || list->is_null()) {
    return;
  }
  const std::string where = path.string() + ": added_tokens";
  ERRATA_CHECK(list->is_array(), ErrorCode::kCorrupt, where, ": expected a list");
  for (const Json& value : *list) {
    const auto id = JsonFields(value, where).required<std::int64_t>("id");
    AddedToken token = parse_token(value, id, where);
    tokens[token.id] = std::move(token);
  }
}

void read_added_tokens_decoder(
    const Json& object, const std::string& where, std::map<std::int32_t, AddedToken>& tokens) {
  const JsonFields fields(object, where);
  for (const auto& item : object.items()) {
    std::int64_t id = -1;
    const std::string& key = item.key();
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    ERRATA_CHECK(
        error == std::errc() && end == key.data() + key.size(),
        ErrorCode::kCorrupt,
        where,
        ": key '",
        key,
        "' is not a token id");
    AddedToken token = parse_token(item.value(), id, concat(where, ", id ", key));
    tokens[token.id] = std::move(token);
  }
}

// A special token is given as its text, or as an object with its text in "content".
std::optional<std::string> token_text(const JsonFields& fields, std::string_view name) {
  const Json* value = fields.find(name);
  if (value == nullptr || value->is_null()) {
    return std::nullopt;
  }
  if (value->is_object()) {
    return JsonFields(*value, concat(fields.where(), ": ", name)).required<std::string>("content");
  }
  return fields.required<std::string>(name);
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

} // namespace

TokenizerSettings read_tokenizer_settings(const fs::path& directory) {
  TokenizerSettings settings;
  std::map<std::int32_t, AddedToken> tokens;
  if (const fs::path path = directory / "tokenizer.json"; fs::exists(path)) {
    read_tokenizer_json(path, tokens);
  }
  if (const fs::path path = directory / "tokenizer_config.json"; fs::exists(path)) {
    const Json document = read_json(path);
    const JsonFields fields(document, path.string());
    if (const Json* object = fields.find("added_tokens_decoder"); object && !object->is_null()) {
      read_added_tokens_decoder(*object, path.string() + ": added_tokens_decoder", tokens);
    }
    settings.add_bos = fields.maybe<bool>("add_bos_token");
    settings.bos = token_text(fields, "bos_token");
    settings.eos = token_text(fields, "eos_token");
    for (const char* name : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
      if (const auto text = token_text(fields, name)) {
        settings.special.push_back(*text);
      }
    }
  }
  for (auto& [id, token] : tokens) {
    settings.added.push_back(std::move(token));
  }
  return settings;
}

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) {
  for (AddedToken& token : tokens) {
    by_first_[token.content.front()].push_back(std::move(token));
  }
  for (auto& [first, candidates] : by_first_) {
    std::stable_sort(
        candidates.begin(), candidates.end(), [](const AddedToken& a, const AddedToken& b) {
          return a.content.size() > b.content.size();
        });
  }
}

AddedTokenMatcher::Match AddedTokenMatcher::find(std::string_view text, std::size_t from) const {
  for (std::size_t i = from; i < text.size() && !by_first_.empty(); ++i) {
    const auto candidates = by_first_.find(text[i]);
    if (candidates == by_first_.end()) {
      continue;
    }
    for (const AddedToken& token : candidates->second) {
      if (!text.substr(i).starts_with(token.content)) {
        continue;
      }
      std::size_t begin = i;
      std::size_t end = i + token.content.size();
      while (token.strip_left && begin > from && is_space(text[begin - 1])) {
        --begin;
      }
      while (token.strip_right && end < text.size() && is_space(text[end])) {
        ++end;
      }
      return {begin, end, &token};
    }
  }
  return {text.size(), text.size(), nullptr};
}

} // namespace errata
