#include "core/packed_attention_short.h"

#include "tests/support/float64_check.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

// The kernels against the same attention in float64, which goes through LibTorch's operators.

namespace errata {
namespace {

using ShortAttentionTest = testing_support::SeedingTest;
using testing_support::expect_follows_float64;

const torch::Dtype kShortDtypes[] = {torch::kFloat32, torch::kBFloat16};

std::vector<LengthGroup> groups_of(
    const std::vector<std::pair<std::int64_t, std::int64_t>>& parts) {
  std::vector<LengthGroup> groups;
  std::int64_t row = 0;
  for (const auto& [count, length] : parts) {
    groups.push_back({row, count, length});
    row += count * length;
  }
  return groups;
}

std::int64_t rows_of(const std::vector<LengthGroup>& groups) {
  return groups.back().first_row + groups.back().count * groups.back().length;
}

void expect_follows(
    const std::vector<LengthGroup>& groups, const AttentionShape& shape, torch::Dtype dtype) {
  const std::int64_t rows = rows_of(groups);
  const auto random = [&](std::int64_t heads) {
    return torch::randn({rows, heads * shape.head_dim}).to(dtype);
  };
  const std::vector<torch::Tensor> inputs = {
      random(shape.heads), random(shape.kv_heads), random(shape.kv_heads)};
  ASSERT_TRUE(is_short_attention(inputs[0], inputs[1], inputs[2], groups));
  expect_follows_float64(
      [&](const std::vector<torch::Tensor>& in) {
        return packed_attention(in[0], in[1], in[2], groups, shape);
      },
      inputs);
}

TEST_F(ShortAttentionTest, FollowsFloat64) {
  for (const torch::Dtype dtype : kShortDtypes) {
    expect_follows(groups_of({{1, 1}}), {1, 1, 2, 0.7, 0}, dtype);
    expect_follows(groups_of({{3, 1}, {2, 4}, {5, 17}, {1, 33}}), {4, 2, 64, 0.125, 0}, dtype);
    expect_follows(groups_of({{2, 15}, {40, 16}, {3, 61}}), {3, 1, 38, 0.2, 0}, dtype);
    expect_follows(groups_of({{2, 127}, {1, 128}}), {2, 2, 16, 0.25, 0}, dtype);
  }
}

TEST_F(ShortAttentionTest, WindowFollowsFloat64) {
  for (const torch::Dtype dtype : kShortDtypes) {
    for (const std::int64_t window : {1, 3, 16, 17, 50}) {
      expect_follows(groups_of({{4, 2}, {3, 19}, {2, 40}}), {4, 2, 24, 0.3, window}, dtype);
    }
  }
}

TEST_F(ShortAttentionTest, SoftCapFollowsFloat64) {
  for (const torch::Dtype dtype : kShortDtypes) {
    expect_follows(groups_of({{2, 1}, {3, 19}, {2, 40}}), {4, 2, 24, 0.3, 0, 1.5}, dtype);
    expect_follows(groups_of({{2, 33}}), {2, 1, 8, 1.0, 7, 0.8}, dtype);
  }
}

// Scores far apart: the softmax subtracts the largest, and what is hidden may be larger still.
TEST_F(ShortAttentionTest, LargeScoresStayFinite) {
  const AttentionShape shape{1, 1, 4, 1.0, 0};
  const std::vector<LengthGroup> groups = groups_of({{1, 5}});
  const torch::Tensor q = torch::full({5, 4}, 30.0);
  const torch::Tensor k = torch::arange(1.0, 6.0).unsqueeze(1).repeat({1, 4});
  const torch::Tensor v = torch::arange(20.0).view({5, 4});
  const torch::Tensor out = packed_attention(q, k, v, groups, shape);
  EXPECT_TRUE(torch::equal(out, v)); // each query sees the last key alone: itself
}

TEST_F(ShortAttentionTest, RowsOfNoSequenceBecomeZero) {
  const AttentionShape shape{2, 1, 8, 0.5, 0};
  const std::vector<LengthGroup> groups = groups_of({{2, 3}});
  const torch::Tensor q = torch::randn({9, 16}).requires_grad_();
  const torch::Tensor k = torch::randn({9, 8}).requires_grad_();
  const torch::Tensor v = torch::randn({9, 8}).requires_grad_();
  const torch::Tensor out = packed_attention(q, k, v, groups, shape);
  EXPECT_EQ(out.slice(0, 6).abs().max().item<double>(), 0.0);
  for (const torch::Tensor& grad :
       torch::autograd::grad({out}, {q, k, v}, {torch::ones({9, 16})})) {
    EXPECT_EQ(grad.slice(0, 6).abs().max().item<double>(), 0.0);
    EXPECT_TRUE(grad.isfinite().all().item<bool>());
  }
}

TEST_F(ShortAttentionTest, TakesOnlyWhatFits) {
  const torch::Tensor x = torch::randn({129, 4});
  const auto takes = [&](std::int64_t length, const torch::Tensor& t) {
    return is_short_attention(t, t, t, {{0, 1, length}});
  };
  EXPECT_TRUE(takes(128, x));
  EXPECT_FALSE(takes(129, x));
  EXPECT_FALSE(takes(128, x.to(torch::kFloat64)));
}

} // namespace
} // namespace errata
