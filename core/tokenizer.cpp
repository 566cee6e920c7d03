#include "core/tokenizer.h"

#include "core/added_tokens.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sentencepiece_processor.h>

namespace errata {
namespace {

namespace fs = std::filesystem;

void check_status(const sentencepiece::util::Status& status, const char* what) {
  ERRATA_CHECK(status.ok(), ErrorCode::kInternal, what, ": ", status.message());
}

std::string hash_files(const fs::path& directory) {
  Sha256 hash;
  for (const char* name : {"tokenizer.model", "tokenizer.json", "tokenizer_config.json"}) {
    if (fs::exists(directory / name)) {
      hash.update(name).update(sha256_file(directory / name));
    }
  }
  return hash.hex_digest();
}

fs::path model_file(const fs::path& directory) {
  require_directory(directory, "tokenizer directory");
  const fs::path path = directory / "tokenizer.model";
  ERRATA_CHECK(
      fs::exists(path) || !fs::exists(directory / "tokenizer.json"),
      ErrorCode::kUnsupported,
      (directory / "tokenizer.json").string(),
      " is there but no tokenizer.model beside it; put the model's SentencePiece file there");
  require_file(path, "tokenizer");
  return path;
}

} // namespace

struct Tokenizer::State {
  void load_model(const fs::path& path);
  void add_tokens(const TokenizerSettings& settings, const fs::path& directory);
  std::optional<std::int32_t> id_of(const std::string& text) const;
  bool is_own(std::int32_t id) const { return id < spm.GetPieceSize() && !renamed.contains(id); }
  void check_id(std::int32_t id) const {
    ERRATA_CHECK(
        id >= 0 && id < vocab_size,
        ErrorCode::kInvalidArgument,
        "token id ",
        id,
        " is not in the tokenizer's vocabulary of ",
        vocab_size);
  }

  sentencepiece::SentencePieceProcessor spm;
  std::optional<AddedTokenMatcher> matcher;
  std::map<std::int32_t, AddedToken> added;
  std::map<std::int32_t, std::string> renamed; // pieces of the model that an added token replaces
  std::int64_t vocab_size = 0;
  std::int32_t bos = -1;
  std::int32_t eos = -1;
  bool add_bos = false;
  std::string hash;
};

void Tokenizer::State::load_model(const fs::path& path) {
  const std::string content = read_file(path);
  const auto status =
      content.empty() ? sentencepiece::util::Status() : spm.LoadFromSerializedProto(content);
  ERRATA_CHECK(
      !content.empty() && status.ok() && spm.GetPieceSize() > 0,
      ErrorCode::kCorrupt,
      path.string(),
      ": not a SentencePiece model; the file is damaged or of another kind");
  vocab_size = spm.GetPieceSize();
  bos = spm.bos_id();
  eos = spm.eos_id();
}

std::optional<std::int32_t> Tokenizer::State::id_of(const std::string& text) const {
  for (const auto& [id, token] : added) {
    if (token.content == text) {
      return id;
    }
  }
  const int id = spm.PieceToId(text);
  return spm.IdToPiece(id) == text ? std::optional<std::int32_t>(id) : std::nullopt;
}

void Tokenizer::State::add_tokens(const TokenizerSettings& settings, const fs::path& directory) {
  std::vector<AddedToken> written_out;
  for (const AddedToken& token : settings.added) {
    added.emplace(token.id, token);
    vocab_size = std::max<std::int64_t>(vocab_size, token.id + std::int64_t{1});
    const bool in_model = token.id < spm.GetPieceSize();
    const bool same = in_model && spm.IdToPiece(token.id) == token.content;
    if (in_model && !same) {
      renamed.emplace(token.id, token.content);
    }
    // The model itself splits at its own symbols; only what it would not produce is matched here.
    if (!same || token.special) {
      written_out.push_back(token);
    }
  }
  for (int id = 0; id < spm.GetPieceSize() && settings.added.empty(); ++id) {
    if (spm.IsControl(id)) {
      const AddedToken token{id, spm.IdToPiece(id), true, false, false};
      added.emplace(id, token);
      written_out.push_back(token);
    }
  }
  matcher.emplace(std::move(written_out));
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
  add_bos = bos >= 0 && settings.add_bos.value_or(true);
}

Tokenizer::Tokenizer() : state_(std::make_unique<State>()) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::load(const fs::path& directory) {
  auto tokenizer = std::make_unique<Tokenizer>();
  State& state = *tokenizer->state_;
  state.load_model(model_file(directory));
  state.add_tokens(read_tokenizer_settings(directory), directory);
  state.hash = hash_files(directory);
  return tokenizer;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  std::vector<int> part;
  for (std::size_t place = 0; place < text.size();) {
    const AddedTokenMatcher::Match match = state_->matcher->find(text, place);
    if (match.begin > place) {
      check_status(state_->spm.Encode(text.substr(place, match.begin - place), &part), "tokenizer");
      ids.insert(ids.end(), part.begin(), part.end());
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
  std::string text;
  std::vector<int> run;
  const auto flush = [&] {
    if (!run.empty()) {
      std::string part;
      check_status(state_->spm.Decode(run, &part), "tokenizer");
      text += part;
      run.clear();
    }
  };
  for (const std::int32_t id : ids) {
    state_->check_id(id);
    const auto token = state_->added.find(id);
    if (token != state_->added.end() && token->second.special) {
      continue;
    }
    if (state_->is_own(id)) {
      run.push_back(id);
    } else if (token != state_->added.end()) {
      flush();
      text += token->second.content;
    }
  }
  flush();
  return text;
}

std::string Tokenizer::piece(std::int32_t id) const {
  state_->check_id(id);
  if (state_->is_own(id)) {
    return state_->spm.IdToPiece(id);
  }
  const auto token = state_->added.find(id);
  return token == state_->added.end() ? std::string() : token->second.content;
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
