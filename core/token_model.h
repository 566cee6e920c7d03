#pragma once

#include "core/added_tokens.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace errata {

/// Texts of ids that a model does not have itself.
using TokenTexts = std::map<std::int32_t, std::string>;

/// The vocabulary of a tokenizer without its added tokens: text between two of them to ids, and ids
/// back. Safe for concurrent use.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  /// One more than the largest id of its own.
  virtual std::int64_t size() const = 0;
  virtual std::optional<std::int32_t> id_of(const std::string& piece) const = 0;
  virtual std::string piece(std::int32_t id) const = 0;
  /// Whether the id stands for no text (BOS and the like).
  virtual bool is_control(std::int32_t id) const = 0;

  /// Whether `encode` itself finds pieces written out that are marked as symbols.
  virtual bool splits_at_pieces() const = 0;

  /// Appends the ids of `text`; `first` when nothing stands before it.
  virtual void encode(std::string_view text, bool first, std::vector<std::int32_t>& ids) const = 0;
  /// `added` has the texts of ids that are not of its own or are replaced.
  virtual std::string decode(
      const std::vector<std::int32_t>& ids, const TokenTexts& added) const = 0;

  /// Of the model's own file; tokenizer_config.json may name others.
  struct Ends {
    std::int32_t bos = -1;
    std::int32_t eos = -1;
    bool adds_bos = false; ///< puts BOS in front of a prompt
  };
  virtual Ends ends() const = 0;
};

/// `tokenizer.model`.
std::unique_ptr<TokenModel> load_sentencepiece(const std::filesystem::path& path);

/// The BPE of `tokenizer.json` and the steps around it (docs/formats/model.md). Another kind of
/// model or step is `kUnsupported`, a damaged file `kCorrupt`.
std::unique_ptr<TokenModel> load_tokenizer_json(const std::filesystem::path& path);

} // namespace errata
