#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace errata {

/// A token that a tokenizer directory lists beside its vocabulary.
struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false; ///< not part of decoded text
  bool strip_left = false;
  bool strip_right = false; ///< swallows the white space beside it
};

/// What tokenizer.json and tokenizer_config.json say beyond the vocabulary.
struct TokenizerSettings {
  std::vector<AddedToken> added; ///< by id
  std::optional<bool> add_bos;
  std::optional<std::string> bos;
  std::optional<std::string> eos;
  std::vector<std::string> special; ///< texts that tokenizer_config.json gives a part to play
};

/// Reads the two files of `directory`; either may be missing. Contradictions are `kCorrupt`.
TokenizerSettings read_tokenizer_settings(const std::filesystem::path& directory);

/// Finds added tokens written out in text: the leftmost, and of those that begin there the longest.
class AddedTokenMatcher {
 public:
  struct Match {
    std::size_t begin = 0; ///< of the token with the white space that it swallows
    std::size_t end = 0;
    const AddedToken* token = nullptr; ///< null: none left
  };

  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  Match find(std::string_view text, std::size_t from) const;

 private:
  // Candidates by their first byte, the longest first.
  std::map<char, std::vector<AddedToken>> by_first_;
};

} // namespace errata
