#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/bpe.h"
#include "core/token_model.h"
#include "core/token_steps.h"
#include "core/utf8.h"

#include <utility>

namespace errata {
namespace {

// No vocabulary comes near this; it keeps a damaged id from sizing anything.
constexpr std::int64_t kLargestId = 100'000'000;

std::unordered_map<std::string, std::int32_t> parse_vocabulary(const JsonFields& model) {
  const Json* vocabulary = model.find("vocab");
  ERRATA_CHECK(
      vocabulary != nullptr && vocabulary->is_object() && !vocabulary->empty(),
      ErrorCode::kCorrupt,
      model.where(),
      ": 'vocab' must be an object of pieces and ids");
  std::unordered_map<std::string, std::int32_t> pieces;
  pieces.reserve(vocabulary->size());
  for (const auto& item : vocabulary->items()) {
    const Json& id = item.value();
    ERRATA_CHECK(
        id.is_number_integer() && id.get<std::int64_t>() >= 0 &&
            id.get<std::int64_t>() <= kLargestId,
        ErrorCode::kCorrupt,
        model.where(),
        ": piece '",
        item.key(),
        "' has no usable id");
    pieces.emplace(item.key(), id.get<std::int32_t>());
  }
  return pieces;
}

// "a b", or since tokenizers 0.20 ["a", "b"].
std::vector<std::pair<std::string, std::string>> parse_merges(const JsonFields& model) {
  const Json* merges = model.find("merges");
  ERRATA_CHECK(
      merges != nullptr && merges->is_array(),
      ErrorCode::kCorrupt,
      model.where(),
      ": 'merges' must be a list");
  std::vector<std::pair<std::string, std::string>> result;
  result.reserve(merges->size());
  for (const Json& merge : *merges) {
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const std::size_t blank = text.find(' ', 1);
      if (blank != std::string::npos) {
        result.emplace_back(text.substr(0, blank), text.substr(blank + 1));
        continue;
      }
    } else if (
        merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      result.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      continue;
    }
    ERRATA_FAIL(
        ErrorCode::kCorrupt, model.where(), ": merge ", result.size(), " is not a pair of pieces");
  }
  return result;
}

Bpe parse_bpe(const Json& json, const std::string& where) {
  const JsonFields model(json, where + ": model");
  const auto kind = model.optional<std::string>("type", "BPE");
  ERRATA_CHECK(
      kind == "BPE",
      ErrorCode::kUnsupported,
      model.where(),
      ": type '",
      kind,
      "' is not supported; supported: BPE");
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    ERRATA_CHECK(
        model.optional<std::string>(name, "").empty(),
        ErrorCode::kUnsupported,
        model.where(),
        ": '",
        name,
        "' is not supported");
  }
  ERRATA_CHECK(
      model.optional<double>("dropout", 0) == 0,
      ErrorCode::kUnsupported,
      model.where(),
      ": 'dropout' is not supported; the same text must give the same ids");
  auto vocabulary = parse_vocabulary(model);
  Bpe::Options options;
  if (const auto unknown = model.maybe<std::string>("unk_token")) {
    if (const auto found = vocabulary.find(*unknown); found != vocabulary.end()) {
      options.unknown = found->second;
    }
  }
  options.byte_fallback = model.optional<bool>("byte_fallback", false);
  options.fuse_unknown = model.optional<bool>("fuse_unk", false);
  options.ignore_merges = model.optional<bool>("ignore_merges", false);
  return {std::move(vocabulary), parse_merges(model), options, model.where()};
}

/// What a post-processor puts around one text.
struct Template {
  std::vector<std::string> before;
  std::vector<std::string> after;
};

void add_template(const Json& json, const std::string& where, Template& result) {
  const JsonFields fields(json, where);
  const auto kind = fields.required<std::string>("type");
  const auto list = [&](const char* name) -> const Json& {
    const Json* found = fields.find(name);
    ERRATA_CHECK(
        found != nullptr && found->is_array(),
        ErrorCode::kCorrupt,
        where,
        ": '",
        name,
        "' must be a list");
    return *found;
  };
  if (kind == "Sequence") {
    for (const Json& step : list("processors")) {
      add_template(step, where, result);
    }
    return;
  }
  if (kind == "ByteLevel") { // only moves offsets
    return;
  }
  ERRATA_CHECK(
      kind == "TemplateProcessing",
      ErrorCode::kUnsupported,
      where,
      ": '",
      kind,
      "' is not supported; supported: Sequence, ByteLevel, TemplateProcessing");
  bool text_seen = false;
  for (const Json& step : list("single")) {
    text_seen = text_seen || step.contains("Sequence");
    if (step.contains("SpecialToken")) {
      const JsonFields token(step["SpecialToken"], where + ": SpecialToken");
      (text_seen ? result.after : result.before).push_back(token.required<std::string>("id"));
    }
  }
}

class JsonTokenModel : public TokenModel {
 public:
  JsonTokenModel(const Json& json, const std::string& where)
      : bpe_(parse_bpe(at(json, "model"), where)),
        normalize_(parse_normalizer(at(json, "normalizer"), where + ": normalizer")),
        cut_(parse_pre_tokenizer(at(json, "pre_tokenizer"), where + ": pre_tokenizer")),
        decode_(parse_token_decoder(at(json, "decoder"), where + ": decoder")) {
    refuse_normalized_tokens(json, where);
    if (const Json& post = at(json, "post_processor"); !post.is_null()) {
      set_ends(post, json, where + ": post_processor");
    }
  }

  std::int64_t size() const override { return bpe_.size(); }
  std::optional<std::int32_t> id_of(const std::string& piece) const override {
    return bpe_.id_of(piece);
  }
  std::string piece(std::int32_t id) const override { return bpe_.piece(id); }
  bool is_control(std::int32_t /*id*/) const override { return false; }
  bool splits_at_pieces() const override { return false; }

  void encode(std::string_view text, bool first, std::vector<std::int32_t>& ids) const override {
    for (const TextPart& word : cut_({{normalize_(to_utf8(text)), first}})) {
      bpe_.encode(word.text, ids);
    }
  }

  std::string decode(const std::vector<std::int32_t>& ids, const TokenTexts& added) const override {
    std::vector<std::string> tokens;
    for (const std::int32_t id : ids) {
      const auto token = added.find(id);
      if (token != added.end()) {
        tokens.push_back(token->second);
      } else if (id < bpe_.size() && !bpe_.piece(id).empty()) {
        tokens.push_back(bpe_.piece(id));
      }
    }
    std::string text;
    for (const std::string& part : decode_(std::move(tokens))) {
      text += part;
    }
    return text;
  }

  Ends ends() const override { return ends_; }

 private:
  static const Json& at(const Json& json, const char* name) {
    static const Json kNull;
    const auto found = json.find(name);
    return found == json.end() ? kNull : *found;
  }

  // tokenizers looks for such a token in the normalised text; here it is found in the text itself.
  // Both are the same unless normalising changes the token.
  void refuse_normalized_tokens(const Json& json, const std::string& where) const {
    for (const Json& token : at(json, "added_tokens")) {
      const JsonFields fields(token, where + ": added_tokens");
      const auto content = fields.required<std::string>("content");
      ERRATA_CHECK(
          !fields.optional<bool>("normalized", false) || normalize_(content) == content,
          ErrorCode::kUnsupported,
          fields.where(),
          ": '",
          content,
          "' is \"normalized\", and the normaliser changes it; that is not supported");
    }
  }

  void set_ends(const Json& post, const Json& json, const std::string& where) {
    Template around;
    add_template(post, where, around);
    ERRATA_CHECK(
        around.before.size() <= 1,
        ErrorCode::kUnsupported,
        where,
        ": ",
        around.before.size(),
        " tokens in front of a text; at most one is supported");
    if (!around.before.empty()) {
      ends_.bos = id_of_added(around.before.front(), json, where);
      ends_.adds_bos = true;
    }
    if (!around.after.empty()) {
      log(LogLevel::kInfo,
          concat(where, ": '", around.after.front(), "' is not put behind a prompt"));
    }
  }

  std::int32_t id_of_added(
      const std::string& content, const Json& json, const std::string& where) const {
    for (const Json& token : at(json, "added_tokens")) {
      const JsonFields fields(token, where);
      if (fields.required<std::string>("content") == content) {
        return fields.required<std::int32_t>("id");
      }
    }
    const auto id = bpe_.id_of(content);
    ERRATA_CHECK(id, ErrorCode::kCorrupt, where, ": '", content, "' is not in the vocabulary");
    return *id;
  }

  Bpe bpe_;
  Normalizer normalize_;
  PreTokenizer cut_;
  TokenDecoder decode_;
  Ends ends_;
};

} // namespace

std::unique_ptr<TokenModel> load_tokenizer_json(const std::filesystem::path& path) {
  const Json json = read_json(path);
  ERRATA_CHECK(json.is_object(), ErrorCode::kCorrupt, path.string(), ": expected a JSON object");
  return std::make_unique<JsonTokenModel>(json, path.string());
}

} // namespace errata
