#include "core/bpe.h"

#include "core/base/random.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace errata {
namespace {

using testing_support::expect_error;
using Ids = std::vector<std::int32_t>;

std::unordered_map<std::string, std::int32_t> numbered(const std::vector<std::string>& pieces) {
  std::unordered_map<std::string, std::int32_t> vocabulary;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    vocabulary.emplace(pieces[i], static_cast<std::int32_t>(i));
  }
  return vocabulary;
}

Ids encode(const Bpe& bpe, std::string_view word) {
  Ids ids;
  bpe.encode(word, ids);
  return ids;
}

TEST(BpeTest, MergesByRankAndFromTheLeft) {
  const Bpe bpe(
      numbered({"a", "b", "c", "ab", "bc", "abc", "aa"}),
      {{"b", "c"}, {"a", "bc"}, {"a", "b"}, {"a", "a"}},
      {},
      "test");
  EXPECT_EQ(encode(bpe, "abc"), Ids{5}); // bc first, although ab stands further left
  EXPECT_EQ(encode(bpe, "ab"), Ids{3});
  EXPECT_EQ(encode(bpe, "aaa"), (Ids{6, 0}));
  EXPECT_EQ(encode(bpe, ""), Ids{});
  EXPECT_EQ(bpe.size(), 7);
  EXPECT_EQ(bpe.piece(4), "bc");
}

TEST(BpeTest, UnknownCharacters) {
  const auto pieces = numbered({"<unk>", "a", "<0xC3>", "<0xA9>"});
  Bpe::Options options;
  EXPECT_EQ(encode(Bpe(pieces, {}, options, ""), "aéa"), (Ids{1, 1})); // nothing to say it with
  options.unknown = 0;
  EXPECT_EQ(encode(Bpe(pieces, {}, options, ""), "éüa"), (Ids{0, 0, 1}));
  options.fuse_unknown = true;
  EXPECT_EQ(encode(Bpe(pieces, {}, options, ""), "éüaé"), (Ids{0, 1, 0}));
  options.byte_fallback = true;
  EXPECT_EQ(encode(Bpe(pieces, {}, options, ""), "éa"), (Ids{2, 3, 1}));
  // Not all of its bytes have a piece.
  EXPECT_EQ(encode(Bpe(pieces, {}, options, ""), "ü"), Ids{0});
}

TEST(BpeTest, AWholePieceGoesBeforeMergesWhenAsked) {
  const auto pieces = numbered({"a", "b", "ab", "aba", "ba"});
  const std::vector<std::pair<std::string, std::string>> merges = {{"a", "b"}};
  Bpe::Options options;
  EXPECT_EQ(encode(Bpe(pieces, merges, options, ""), "aba"), (Ids{2, 0}));
  options.ignore_merges = true;
  EXPECT_EQ(encode(Bpe(pieces, merges, options, ""), "aba"), Ids{3});
}

TEST(BpeTest, NamesAMergeThatDoesNotBelong) {
  expect_error(ErrorCode::kCorrupt, {"merge 1", "'c'", "file"}, [] {
    Bpe(numbered({"a", "b", "ab"}), {{"a", "b"}, {"a", "c"}}, {}, "file");
  });
  expect_error(ErrorCode::kCorrupt, {"merge 0", "'ab'"}, [] {
    Bpe(numbered({"a", "b"}), {{"a", "b"}}, {}, "file");
  });
}

// The definition, one merge at a time over the whole word.
std::vector<std::string> by_definition(
    const std::string& word, const std::vector<std::pair<std::string, std::string>>& merges) {
  std::vector<std::string> parts;
  for (const char c : word) {
    parts.emplace_back(1, c);
  }
  while (true) {
    std::size_t best = merges.size();
    std::size_t place = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = std::find(merges.begin(), merges.end(), std::pair(parts[i], parts[i + 1]));
      const auto rank = static_cast<std::size_t>(found - merges.begin());
      if (rank < best) {
        best = rank;
        place = i;
      }
    }
    if (best == merges.size()) {
      return parts;
    }
    parts[place] += parts[place + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

TEST(BpeTest, FollowsTheDefinitionOnRandomWords) {
  Random random(5);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> pieces = {"a", "b", "c"};
    std::vector<std::pair<std::string, std::string>> merges;
    while (merges.size() < 25) {
      const std::pair<std::string, std::string> merge(random.choice(pieces), random.choice(pieces));
      if (std::find(pieces.begin(), pieces.end(), merge.first + merge.second) == pieces.end()) {
        pieces.push_back(merge.first + merge.second);
        merges.push_back(merge);
      }
    }
    const Bpe bpe(numbered(pieces), merges, {}, "test");
    for (int i = 0; i < 20; ++i) {
      std::string word;
      for (std::size_t length = random.index(40); word.size() < length;) {
        word += static_cast<char>('a' + random.index(3));
      }
      std::vector<std::string> found;
      for (const std::int32_t id : encode(bpe, word)) {
        found.push_back(bpe.piece(id));
      }
      EXPECT_EQ(found, by_definition(word, merges)) << word;
    }
  }
}

} // namespace
} // namespace errata
