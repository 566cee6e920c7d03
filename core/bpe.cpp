#include "core/bpe.h"

#include "core/base/error.h"
#include "core/utf8.h"

#include <algorithm>
#include <cstdio>
#include <queue>

namespace errata {
namespace {

constexpr std::int32_t kGone = -1; // merged into the symbol before it
constexpr std::int32_t kNone = -1; // no neighbour

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U) |
         static_cast<std::uint32_t>(right);
}

std::string byte_piece(char byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned char>(byte));
  return text;
}

} // namespace

struct Bpe::Symbol {
  std::int32_t id;
  std::int32_t previous;
  std::int32_t next;
};

/// Merges the symbols of one word.
class Bpe::Merger {
 public:
  Merger(const Bpe& bpe, std::vector<Symbol>& symbols) : bpe_(bpe), symbols_(symbols) {
    for (std::int32_t i = 0; i + 1 < static_cast<std::int32_t>(symbols_.size()); ++i) {
      propose(i);
    }
  }

  void run() {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      Symbol& left = at(best.place);
      if (left.id == kGone || left.next == kNone) {
        continue;
      }
      // The neighbours may have changed since.
      Symbol& right = at(left.next);
      const Merge* merge = bpe_.find_merge(left.id, right.id);
      if (merge == nullptr || merge->rank != best.rank) {
        continue;
      }
      left.id = merge->id;
      right.id = kGone;
      left.next = right.next;
      if (right.next != kNone) {
        at(right.next).previous = best.place;
      }
      if (left.previous != kNone) {
        propose(left.previous);
      }
      propose(best.place);
    }
  }

 private:
  struct Candidate {
    std::int32_t rank;
    std::int32_t place;

    bool operator<(const Candidate& other) const { // the largest is on top
      return std::pair(rank, place) > std::pair(other.rank, other.place);
    }
  };

  Symbol& at(std::int32_t place) { return symbols_[static_cast<std::size_t>(place)]; }

  void propose(std::int32_t place) {
    const Symbol& left = at(place);
    if (left.next == kNone) {
      return;
    }
    if (const Merge* merge = bpe_.find_merge(left.id, at(left.next).id)) {
      queue_.push({merge->rank, place});
    }
  }

  const Bpe& bpe_;
  std::vector<Symbol>& symbols_;
  std::priority_queue<Candidate> queue_;
};

Bpe::Bpe(
    std::unordered_map<std::string, std::int32_t> vocabulary,
    const std::vector<std::pair<std::string, std::string>>& merges,
    Options options,
    const std::string& where)
    : vocabulary_(std::move(vocabulary)), options_(options) {
  std::int32_t largest = -1;
  for (const auto& [text, id] : vocabulary_) {
    largest = std::max(largest, id);
  }
  pieces_.resize(static_cast<std::size_t>(largest) + 1);
  for (const auto& [text, id] : vocabulary_) {
    pieces_[static_cast<std::size_t>(id)] = text;
  }
  std::int32_t rank = 0;
  for (const auto& [left, right] : merges) {
    const auto part = [&](const std::string& text) {
      const auto id = id_of(text);
      ERRATA_CHECK(
          id,
          ErrorCode::kCorrupt,
          where,
          ": merge ",
          rank,
          " ('",
          left,
          "', '",
          right,
          "') needs '",
          text,
          "', which is not in the vocabulary");
      return *id;
    };
    merges_.insert_or_assign(pair_key(part(left), part(right)), Merge{rank, part(left + right)});
    ++rank;
  }
}

std::optional<std::int32_t> Bpe::id_of(const std::string& piece) const {
  const auto found = vocabulary_.find(piece);
  return found == vocabulary_.end() ? std::nullopt : std::optional(found->second);
}

const Bpe::Merge* Bpe::find_merge(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

bool Bpe::append_bytes(std::string_view character, std::vector<Symbol>& symbols) const {
  if (!options_.byte_fallback) {
    return false;
  }
  const std::size_t before = symbols.size();
  for (const char byte : character) {
    const auto id = id_of(byte_piece(byte));
    if (!id) {
      symbols.resize(before);
      return false;
    }
    symbols.push_back({*id, kNone, kNone});
  }
  return true;
}

std::vector<Bpe::Symbol> Bpe::symbols_of(std::string_view word) const {
  std::vector<Symbol> symbols;
  bool after_unknown = false;
  for (std::size_t i = 0; i < word.size();) {
    const std::size_t length = std::max<std::size_t>(1, utf8_length(word.substr(i)));
    const std::string_view character = word.substr(i, length);
    i += length;
    if (const auto id = id_of(std::string(character))) {
      symbols.push_back({*id, kNone, kNone});
      after_unknown = false;
      continue;
    }
    if (append_bytes(character, symbols)) {
      after_unknown = false;
      continue;
    }
    // Without a piece for the unknown the character vanishes, as in tokenizers.
    if (options_.unknown && !(after_unknown && options_.fuse_unknown)) {
      symbols.push_back({*options_.unknown, kNone, kNone});
      after_unknown = true;
    }
  }
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<std::int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<std::int32_t>(i) + 1 : kNone;
  }
  return symbols;
}

void Bpe::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (options_.ignore_merges) {
    if (const auto id = id_of(std::string(word))) {
      ids.push_back(*id);
      return;
    }
  }
  std::vector<Symbol> symbols = symbols_of(word);
  Merger(*this, symbols).run();
  for (const Symbol& symbol : symbols) {
    if (symbol.id != kGone) {
      ids.push_back(symbol.id);
    }
  }
}

} // namespace errata
