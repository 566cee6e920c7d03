#include "core/tokenizer.h"

#include "core/added_tokens.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/token_model.h"

#include <algorithm>
#include <map>
#include <optional>

namespace errata {
namespace {

namespace fs = std::filesystem;

std::string hash_files(const fs::path& directory) {
  Sha256 hash;
  for (const char* name : {"tokenizer.model", "tokenizer.json", "tokenizer_config.json"}) {
    if (fs::exists(directory / name)) {
      hash.update(name).update(sha256_file(directory / name));
    }
  }
  return hash.hex_digest();
}

// SentencePiece's own file where it is there: tokenizer.json is then a copy of it.
std::unique_ptr<TokenModel> load_token_model(const fs::path& directory) {
  require_directory(directory, "tokenizer directory");
  const fs::path json = directory / "tokenizer.json";
  const fs::path model = directory / "tokenizer.model";
  if (!fs::exists(model) && fs::exists(json)) {
    return load_tokenizer_json(json);
  }
  require_file(model, "tokenizer");
  return load_sentencepiece(model);
}

} // namespace

struct Tokenizer::State {
  void add_tokens(const TokenizerSettings& settings, const fs::path& directory);
  std::optional<std::int32_t> id_of(const std::string& text) const;
  void check_id(std::int32_t id) const {
    ERRATA_CHECK(
        id >= 0 && id < vocab_size,
        ErrorCode::kInvalidArgument,
        "token id ",
        id,
        " is not in the tokenizer's vocabulary of ",
        vocab_size);
  }

  std::unique_ptr<TokenModel> model;
  std::optional<AddedTokenMatcher> matcher;
  std::map<std::int32_t, AddedToken> added;
  TokenTexts texts; // of added tokens that are not pieces of the model
  std::int64_t vocab_size = 0;
  std::int32_t bos = -1;
  std::int32_t eos = -1;
  bool add_bos = false;
  std::string hash;
};

std::optional<std::int32_t> Tokenizer::State::id_of(const std::string& text) const {
  for (const auto& [id, token] : added) {
    if (token.content == text) {
      return id;
    }
  }
  return model->id_of(text);
}

void Tokenizer::State::add_tokens(const TokenizerSettings& settings, const fs::path& directory) {
  std::vector<AddedToken> written_out;
  vocab_size = model->size();
  for (const AddedToken& token : settings.added) {
    added.emplace(token.id, token);
    vocab_size = std::max<std::int64_t>(vocab_size, token.id + std::int64_t{1});
    const bool same = token.id < model->size() && model->piece(token.id) == token.content;
    if (!same) {
      texts.emplace(token.id, token.content);
    }
    // SentencePiece splits at its own symbols; only what it would not produce is matched here.
    if (!same || token.special || !model->splits_at_pieces()) {
      written_out.push_back(token);
    }
  }
  for (std::int32_t id = 0; id < model->size() && settings.added.empty(); ++id) {
    if (model->is_control(id)) {
      const AddedToken token{id, model->piece(id), true, false, false};
      added.emplace(id, token);
      written_out.push_back(token);
    }
  }
  for (const std::string& text : settings.special) {
    const auto id = model->splits_at_pieces() ? std::nullopt : model->id_of(text);
    const AddedToken token{id.value_or(0), text, true, false, false};
    if (id && added.emplace(*id, token).second) {
      written_out.push_back(token);
    }
  }
  matcher.emplace(std::move(written_out));
  const TokenModel::Ends ends = model->ends();
  bos = ends.bos;
  eos = ends.eos;
  for (const auto& [text, id] : {std::pair{settings.bos, &bos}, std::pair{settings.eos, &eos}}) {
    if (text) {
      const auto found = id_of(*text);
      ERRATA_CHECK(
          found,
          ErrorCode::kCorrupt,
          (directory / "tokenizer_config.json").string(),
          ": special token '",
          *text,
          "' is not in the vocabulary");
      *id = *found;
    }
  }
  add_bos = bos >= 0 && settings.add_bos.value_or(ends.adds_bos);
}

Tokenizer::Tokenizer() : state_(std::make_unique<State>()) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::load(const fs::path& directory) {
  auto tokenizer = std::make_unique<Tokenizer>();
  State& state = *tokenizer->state_;
  state.model = load_token_model(directory);
  state.add_tokens(read_tokenizer_settings(directory), directory);
  state.hash = hash_files(directory);
  return tokenizer;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  for (std::size_t place = 0; place < text.size();) {
    const AddedTokenMatcher::Match match = state_->matcher->find(text, place);
    if (match.begin > place) {
      state_->model->encode(text.substr(place, match.begin - place), place == 0, ids);
    }
    if (match.token != nullptr) {
      ids.push_back(match.token->id);
    }
    place = match.end;
  }
  return ids;
}

std::vector<std::int32_t> Tokenizer::encode_prompt(std::string_view text) const {
  std::vector<std::int32_t> ids = encode(text);
  if (state_->add_bos) {
    ids.insert(ids.begin(), state_->bos);
  }
  return ids;
}

std::string Tokenizer::decode(const std::vector<std::int32_t>& ids) const {
  std::vector<std::int32_t> shown;
  for (const std::int32_t id : ids) {
    state_->check_id(id);
    const auto token = state_->added.find(id);
    if (token == state_->added.end() || !token->second.special) {
      shown.push_back(id);
    }
  }
  return state_->model->decode(shown, state_->texts);
}

std::string Tokenizer::piece(std::int32_t id) const {
  state_->check_id(id);
  const auto text = state_->texts.find(id);
  if (text != state_->texts.end()) {
    return text->second;
  }
  return id < state_->model->size() ? state_->model->piece(id) : std::string();
}

std::int64_t Tokenizer::vocab_size() const {
  return state_->vocab_size;
}

std::int32_t Tokenizer::bos() const {
  return state_->bos;
}

std::int32_t Tokenizer::eos() const {
  return state_->eos;
}

const std::string& Tokenizer::hash() const {
  return state_->hash;
}

} // namespace errata
