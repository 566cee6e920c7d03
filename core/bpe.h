#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace errata {

/// Byte-pair encoding (Sennrich et al. 2016, 1508.07909) with ranked merges, as the `BPE` model of
/// tokenizer.json: of all neighbours that may be merged the pair of the lowest rank goes first, the
/// leftmost of several.
class Bpe {
 public:
  struct Options {
    std::optional<std::int32_t> unknown;
    bool byte_fallback = false; ///< characters without a piece become pieces of their bytes, <0xE2>
    bool fuse_unknown = false;  ///< unknown characters in a row are one token
    bool ignore_merges = false; ///< a word that is a piece is that piece, whatever the merges say
  };

  /// Merges whose parts or result are not in the vocabulary are `kCorrupt` and named with `where`.
  Bpe(std::unordered_map<std::string, std::int32_t> vocabulary,
      const std::vector<std::pair<std::string, std::string>>& merges,
      Options options,
      const std::string& where);

  /// Appends the ids of one word, UTF-8. Time is that of sorting its characters.
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const;

  std::optional<std::int32_t> id_of(const std::string& piece) const;
  /// Empty where the vocabulary leaves the id out; `id` must be below `size()`.
  const std::string& piece(std::int32_t id) const { return pieces_[static_cast<std::size_t>(id)]; }
  std::int64_t size() const { return static_cast<std::int64_t>(pieces_.size()); }

 private:
  struct Merge {
    std::int32_t rank;
    std::int32_t id;
  };
  struct Symbol;
  class Merger;

  std::vector<Symbol> symbols_of(std::string_view word) const;
  bool append_bytes(std::string_view character, std::vector<Symbol>& symbols) const;
  const Merge* find_merge(std::int32_t left, std::int32_t right) const;

  std::unordered_map<std::string, std::int32_t> vocabulary_;
  std::vector<std::string> pieces_;
  std::unordered_map<std::uint64_t, Merge> merges_;
  Options options_;
};

} // namespace errata
