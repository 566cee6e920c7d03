#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace errata {

/// Text to ids and back: a SentencePiece model, or the BPE of a tokenizer.json, with the added
/// tokens of tokenizer.json and tokenizer_config.json (docs/formats/model.md). Safe for concurrent
/// use.
class Tokenizer {
 public:
  /// Reads `<directory>/tokenizer.model`, or where there is none tokenizer.json, and added and
  /// special tokens. Neither of them is `kNotFound`, a damaged file `kCorrupt`, a tokenizer.json
  /// with steps that are not computed here `kUnsupported`.
  static std::unique_ptr<Tokenizer> load(const std::filesystem::path& directory);

  Tokenizer();
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Without BOS. Special tokens written out in `text` become their ids; the text between two of
  /// them is encoded on its own.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// As `encode`, with the family's BOS in front when it has one (tokenizer_config.json's
  /// `add_bos_token`; without it SentencePiece models with a BOS use it).
  std::vector<std::int32_t> encode_prompt(std::string_view text) const;
  /// Skips special tokens. Bytes that are not UTF-8 become U+FFFD. Ids must be in range.
  std::string decode(const std::vector<std::int32_t>& ids) const;
  /// The piece as stored ("▁the"); `id` must be in range.
  std::string piece(std::int32_t id) const;

  std::int64_t vocab_size() const; ///< one more than the largest id
  std::int32_t bos() const;        ///< -1 when there is none
  std::int32_t eos() const;        ///< -1 when there is none
  /// SHA-256 over the files read.
  const std::string& hash() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace errata
