#include "core/base/error.h"
#include "core/base/files.h"
#include "core/token_model.h"

#include <sentencepiece_processor.h>

namespace errata {
namespace {

void check_status(const sentencepiece::util::Status& status) {
  ERRATA_CHECK(status.ok(), ErrorCode::kInternal, "tokenizer: ", status.message());
}

class SentencePieceModel : public TokenModel {
 public:
  explicit SentencePieceModel(const std::filesystem::path& path) {
    const std::string content = read_file(path);
    const auto status =
        content.empty() ? sentencepiece::util::Status() : spm_.LoadFromSerializedProto(content);
    ERRATA_CHECK(
        !content.empty() && status.ok() && spm_.GetPieceSize() > 0,
        ErrorCode::kCorrupt,
        path.string(),
        ": not a SentencePiece model; the file is damaged or of another kind");
  }

  std::int64_t size() const override { return spm_.GetPieceSize(); }

  std::optional<std::int32_t> id_of(const std::string& piece) const override {
    const int id = spm_.PieceToId(piece);
    return spm_.IdToPiece(id) == piece ? std::optional<std::int32_t>(id) : std::nullopt;
  }

  std::string piece(std::int32_t id) const override { return spm_.IdToPiece(id); }
  bool is_control(std::int32_t id) const override { return spm_.IsControl(id); }
  bool splits_at_pieces() const override { return true; }

  void encode(
      std::string_view text, bool /*first*/, std::vector<std::int32_t>& ids) const override {
    std::vector<int> part;
    check_status(spm_.Encode(text, &part));
    ids.insert(ids.end(), part.begin(), part.end());
  }

  std::string decode(const std::vector<std::int32_t>& ids, const TokenTexts& added) const override {
    std::string text;
    std::vector<int> run;
    const auto flush = [&] {
      if (!run.empty()) {
        std::string part;
        check_status(spm_.Decode(run, &part));
        text += part;
        run.clear();
      }
    };
    for (const std::int32_t id : ids) {
      if (const auto token = added.find(id); token != added.end()) {
        flush();
        text += token->second;
      } else if (id < spm_.GetPieceSize()) {
        run.push_back(id);
      }
    }
    flush();
    return text;
  }

  Ends ends() const override { return {spm_.bos_id(), spm_.eos_id(), spm_.bos_id() >= 0}; }

 private:
  sentencepiece::SentencePieceProcessor spm_;
};

} // namespace

std::unique_ptr<TokenModel> load_sentencepiece(const std::filesystem::path& path) {
  return std::make_unique<SentencePieceModel>(path);
}

} // namespace errata
