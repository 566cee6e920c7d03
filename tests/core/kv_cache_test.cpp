#include "core/kv_cache.h"

#include "core/base/random.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference_decoder.h"
#include "tests/support/tiny_decoder.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace errata {
namespace {

using testing_support::expect_error;
using testing_support::largest_difference;
using testing_support::random_decoder;
using testing_support::ReferenceDecoder;
using testing_support::tiny_gemma3;
using testing_support::tiny_llama;

KvCache empty_cache(const Decoder& model, std::int64_t rows) {
  return {model->config(), rows, model->compute_dtype(), model->device()};
}

// A cache with everything that may happen to it, and beside it the full texts of its rows: after
// each feeding, the logits must be those of the reference on the whole text.
class Follower {
 public:
  Follower(Decoder model, std::int64_t rows)
      : model_(std::move(model)),
        reference_(model_),
        cache_(empty_cache(model_, rows)),
        texts_(static_cast<std::size_t>(rows)) {}

  void feed(std::int64_t steps) {
    const std::vector<std::int64_t> ids = extend(std::vector<std::int64_t>(texts_.size(), steps));
    const torch::Tensor hidden =
        model_->hidden_cached(torch::tensor(ids).view({cache_.rows(), steps}), cache_);
    check(hidden.flatten(0, 1), std::vector<std::int64_t>(texts_.size(), steps));
  }
  void feed(const std::vector<std::int64_t>& steps) {
    const std::vector<std::int64_t> ids = extend(steps);
    std::vector<std::int64_t> all(steps.size());
    std::iota(all.begin(), all.end(), 0);
    KvCache twin = cache_.copy(all);
    const torch::Tensor hidden = model_->hidden_cached(torch::tensor(ids), steps, cache_);
    check(hidden, steps);
    // Some rows alone are the same, and the cache has them all.
    const torch::Tensor rows = torch::tensor({hidden.size(0) - 1, std::int64_t{0}});
    const torch::Tensor some = model_->hidden_cached(torch::tensor(ids), steps, twin, rows);
    EXPECT_LT(largest_difference(some, hidden.index_select(0, rows)), 2e-4);
    cache_ = std::move(twin);
  }
  void keep(const std::vector<std::int64_t>& rows) {
    if (std::set<std::int64_t>(rows.begin(), rows.end()).size() == rows.size()) {
      cache_.keep(rows);
    } else {
      cache_ = cache_.copy(rows);
    }
    std::vector<Tokens> texts;
    for (const std::int64_t row : rows) {
      texts.push_back(texts_[static_cast<std::size_t>(row)]);
    }
    texts_ = texts;
  }
  void append(const Follower& other) {
    cache_.append(other.cache_);
    texts_.insert(texts_.end(), other.texts_.begin(), other.texts_.end());
  }
  void clear(std::int64_t row) {
    cache_.clear(row);
    texts_[static_cast<std::size_t>(row)].clear();
  }
  void truncate(std::int64_t length) {
    cache_.truncate(length);
    for (Tokens& text : texts_) {
      text.resize(std::min(text.size(), static_cast<std::size_t>(length)));
    }
  }
  const KvCache& cache() const { return cache_; }

 private:
  std::vector<std::int64_t> extend(const std::vector<std::int64_t>& steps) {
    std::vector<std::int64_t> ids;
    for (std::size_t row = 0; row < texts_.size(); ++row) {
      for (std::int64_t i = 0; i < steps[row]; ++i) {
        texts_[row].push_back(static_cast<std::int32_t>(random_.index(29)));
        ids.push_back(texts_[row].back());
      }
    }
    return ids;
  }
  void check(const torch::Tensor& hidden, const std::vector<std::int64_t>& steps) {
    const double tolerance = model_->compute_dtype() == torch::kFloat64 ? 1e-9 : 2e-4;
    const torch::Tensor logits = model_->logits(hidden);
    std::int64_t first = 0;
    for (std::size_t row = 0; row < texts_.size(); first += steps[row++]) {
      const auto length = static_cast<std::int64_t>(texts_[row].size());
      const torch::Tensor expected =
          reference_.logits(texts_[row]).narrow(0, length - steps[row], steps[row]);
      ASSERT_LT(largest_difference(logits.narrow(0, first, steps[row]), expected), tolerance)
          << "row " << row << " after " << length << " tokens";
      ASSERT_EQ(cache_.lengths()[row], length);
    }
  }

  Decoder model_;
  ReferenceDecoder reference_;
  KvCache cache_;
  std::vector<Tokens> texts_;
  Random random_{11};
};

// In float64 LibTorch's operators compute, in float32 the kernels where they can.
void expect_follows(const DecoderConfig& config) {
  for (const torch::Dtype dtype : {torch::kFloat64, torch::kFloat32}) {
    const Decoder model = random_decoder(config, dtype);
    Follower rows(model, 3);
    rows.feed(5);
    rows.feed(1);
    rows.feed(1);
    rows.feed(4); // several at once, past a window of 3
    rows.feed(1);
    Follower others(model, 2);
    others.feed(1);
    others.feed(1);
    rows.append(others); // rows of unequal length, some inside and some past the window
    rows.feed(1);
    rows.feed(3);
    rows.feed(1);
    rows.keep({4, 1, 1});
    rows.feed(1);
    rows.feed(2);
    rows.feed({1, 3, 2});
    rows.keep({2, 0});
    rows.append(others); // in the place of one that left
    rows.feed({2, 1, 1, 5});
    rows.clear(1);
    rows.feed(1);
    rows.keep({3, 1});
    for (int i = 0; i < 70; ++i) {
      rows.feed(1); // past the first allocation
    }
  }
}

TEST(KvCacheTest, WindowShorterThanTheText) {
  expect_follows(tiny_gemma3(3));
}

TEST(KvCacheTest, WindowOfOne) {
  expect_follows(tiny_gemma3(1));
}

TEST(KvCacheTest, WindowBetween) {
  expect_follows(tiny_gemma3(8));
}

TEST(KvCacheTest, WithoutWindow) {
  expect_follows(tiny_llama());
}

TEST(KvCacheTest, BeginsWithTextsOfAnyLength) {
  for (const DecoderConfig& config : {tiny_llama(), tiny_gemma3(4)}) {
    for (const torch::Dtype dtype : {torch::kFloat64, torch::kFloat32}) {
      Follower rows(random_decoder(config, dtype), 5);
      rows.feed({9, 9, 2, 1, 7});
      rows.feed(1);
      rows.feed({1, 4, 1, 1, 2});
    }
  }
}

// What a copy is fed does not reach the rows that it was made of.
TEST(KvCacheTest, CopiesHaveTheirOwnMemory) {
  Decoder model = random_decoder(tiny_llama(), torch::kFloat32);
  KvCache cache = empty_cache(model, 1);
  model->hidden_cached(torch::tensor({{1, 2, 3}}), cache);
  KvCache first = cache.copy({0, 0});
  const torch::Tensor ids = torch::tensor({{4, 5}, {6, 7}});
  const torch::Tensor hidden = model->hidden_cached(ids, first);
  KvCache second = cache.copy({0, 0});
  EXPECT_TRUE(torch::equal(model->hidden_cached(ids, second), hidden));
}

TEST(KvCacheTest, SharedPrefix) {
  const Decoder model = random_decoder(tiny_gemma3(4));
  Follower rows(model, 1);
  rows.feed(6);
  rows.keep({0, 0, 0, 0});
  rows.feed(3);
  rows.feed(1);
}

TEST(KvCacheTest, RingsAreBoundedByTheWindow) {
  DecoderConfig config = tiny_gemma3(16);
  config.layers.pop_back(); // no global layer
  const Decoder model = random_decoder(config);
  Follower rows(model, 2);
  rows.feed(40);
  const std::int64_t bytes = rows.cache().bytes();
  // 2 layers, keys and values, 2 rows, 2 heads, 16 slots, 6 numbers of 8 bytes
  EXPECT_EQ(bytes, std::int64_t{2} * 2 * 2 * 2 * 16 * 6 * 8);
  for (int i = 0; i < 30; ++i) {
    rows.feed(1);
  }
  EXPECT_EQ(rows.cache().bytes(), bytes);
}

TEST(KvCacheTest, TruncatesWhileTheKeysAreThere) {
  const Decoder model = random_decoder(tiny_gemma3(8));
  Follower rows(model, 2);
  rows.feed(7);
  rows.truncate(4);
  rows.feed(1);
  rows.feed(2);
  rows.truncate(2);
  rows.feed(5);
  rows.feed(3);
  expect_error(ErrorCode::kUnsupported, {"window of 8"}, [&] { rows.truncate(4); });
}

} // namespace
} // namespace errata
