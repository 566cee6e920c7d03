#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace errata {

/// Text to ids and back: a SentencePiece model with the added tokens of tokenizer.json or
/// tokenizer_config.json. Safe for concurrent use.
class Tokenizer {
 public:
  /// Reads `<directory>/tokenizer.model` and, where present, added and special tokens.
  static std::unique_ptr<Tokenizer> load(const std::filesystem::path& directory);

  Tokenizer();
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Without BOS. Special tokens written out in `text` become their ids.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// As `encode`, with the family's BOS in front when it has one.
  std::vector<std::int32_t> encode_prompt(std::string_view text) const;
  /// Skips special tokens.
  std::string decode(const std::vector<std::int32_t>& ids) const;
  /// The piece as stored ("▁the"); `id` must be in range.
  std::string piece(std::int32_t id) const;

  std::int64_t vocab_size() const;
  std::int32_t bos() const; ///< -1 when there is none
  std::int32_t eos() const; ///< -1 when there is none
  /// SHA-256 over the files read.
  const std::string& hash() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace errata
