#include "core/scoring.h"

#include "tests/support/expect_error.h"
#include "tests/support/reference_decoder.h"
#include "tests/support/tiny_decoder.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_error;
using testing_support::random_decoder;
using testing_support::random_sequences;
using testing_support::ReferenceDecoder;
using testing_support::tiny_gemma3;

TEST(ScoringTest, MatchesReference) {
  Decoder model = random_decoder(tiny_gemma3(), torch::kFloat32);
  const ReferenceDecoder reference(model);
  auto sequences = random_sequences(15, 14, 29);
  sequences.push_back({3}); // nothing to score
  std::vector<std::int64_t> first;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    first.push_back(std::min<std::int64_t>(
        1 + static_cast<std::int64_t>(i % 3), static_cast<std::int64_t>(sequences[i].size())));
  }
  const auto scores = score_tokens(model, sequences, first);
  ASSERT_EQ(scores.size(), sequences.size());
  int hits = 0;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto expected = reference.logprobs(sequences[i]);
    const torch::Tensor best = reference.logits(sequences[i]).argmax(-1);
    ASSERT_EQ(scores[i].size(), sequences[i].size() - static_cast<std::size_t>(first[i]));
    for (std::size_t k = 0; k < scores[i].size(); ++k) {
      const std::size_t token = k + static_cast<std::size_t>(first[i]);
      EXPECT_NEAR(scores[i][k].logprob, expected[token - 1], 2e-5);
      const bool argmax =
          best[static_cast<std::int64_t>(token - 1)].item<std::int64_t>() == sequences[i][token];
      EXPECT_EQ(scores[i][k].argmax, argmax);
      hits += argmax ? 1 : 0;
    }
  }
  EXPECT_GT(hits, 0);
}

TEST(ScoringTest, TopTokensAreSorted) {
  Decoder model = random_decoder(tiny_gemma3());
  const ReferenceDecoder reference(model);
  const Tokens sequence = {4, 8, 1, 1, 20};
  const auto top = top_tokens(model, sequence, 3);
  const auto [values, ids] = torch::log_softmax(reference.logits(sequence), -1).topk(3, -1);
  ASSERT_EQ(top.size(), sequence.size());
  for (std::size_t i = 0; i < top.size(); ++i) {
    ASSERT_EQ(top[i].size(), 3U);
    for (std::size_t k = 0; k < 3; ++k) {
      const auto row = static_cast<std::int64_t>(i);
      const auto place = static_cast<std::int64_t>(k);
      EXPECT_EQ(top[i][k].first, ids[row][place].item<std::int64_t>());
      EXPECT_NEAR(top[i][k].second, values[row][place].item<double>(), 1e-9);
    }
  }
  EXPECT_EQ(top_tokens(model, sequence, 1000)[0].size(), 29U);
}

TEST(ScoringTest, RejectsABadStart) {
  Decoder model = random_decoder(tiny_gemma3());
  expect_error(ErrorCode::kInvalidArgument, {"token 0"}, [&] {
    score_tokens(model, {{1, 2}}, {0});
  });
  expect_error(ErrorCode::kInvalidArgument, {"token 3"}, [&] {
    score_tokens(model, {{1, 2}}, {3});
  });
  expect_error(ErrorCode::kInvalidArgument, {"top is 0"}, [&] { top_tokens(model, {1}, 0); });
}

} // namespace
} // namespace errata
