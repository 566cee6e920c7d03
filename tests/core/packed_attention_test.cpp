#include "core/packed_attention.h"

#include "core/padded_attention.h"
#include "tests/support/grad_check.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

namespace errata {
namespace {

using testing_support::expect_gradients;
using testing_support::random_leaf;
using PackedAttentionTest = testing_support::SeedingTest;

// One head and one full mask at a time, by ordinary operators that LibTorch differentiates.
torch::Tensor by_definition(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const std::vector<LengthGroup>& groups,
    const AttentionShape& shape) {
  const std::int64_t rows = q.size(0);
  torch::Tensor hidden = torch::ones({rows, rows}, torch::kBool);
  for (const LengthGroup& group : groups) {
    for (std::int64_t s = 0; s < group.count; ++s) {
      const std::int64_t start = group.first_row + s * group.length;
      for (std::int64_t i = 0; i < group.length; ++i) {
        const std::int64_t from =
            shape.window > 0 ? std::max<std::int64_t>(0, i - shape.window + 1) : 0;
        hidden[start + i].slice(0, start + from, start + i + 1).fill_(false);
      }
    }
  }
  std::vector<torch::Tensor> heads;
  for (std::int64_t h = 0; h < shape.heads; ++h) {
    const std::int64_t g = h / (shape.heads / shape.kv_heads);
    const auto head = [&](const torch::Tensor& x, std::int64_t index) {
      return x.narrow(1, index * shape.head_dim, shape.head_dim);
    };
    torch::Tensor scores = head(q, h).matmul(head(k, g).t()) * shape.scale;
    if (shape.softcap > 0) {
      scores = torch::tanh(scores / shape.softcap) * shape.softcap;
    }
    scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
    heads.push_back(torch::softmax(scores, 1).matmul(head(v, g)));
  }
  return torch::cat(heads, 1);
}

struct Inputs {
  Inputs(std::int64_t rows, const AttentionShape& shape)
      : q(random_leaf({rows, shape.heads * shape.head_dim})),
        k(random_leaf({rows, shape.kv_heads * shape.head_dim})),
        v(random_leaf({rows, shape.kv_heads * shape.head_dim})) {}

  torch::Tensor q;
  torch::Tensor k;
  torch::Tensor v;
};

using Attention = std::function<torch::Tensor(const Inputs&)>;

void expect_same(const Attention& attention, const Inputs& in, const torch::Tensor& expected) {
  const torch::Tensor found = attention(in);
  EXPECT_TRUE(torch::allclose(found, expected, 1e-10, 1e-10));
  const torch::Tensor grad = torch::randn_like(expected);
  const std::vector<torch::Tensor> inputs = {in.q, in.k, in.v};
  const auto wanted = torch::autograd::grad({expected}, inputs, {grad}, /*retain_graph=*/true);
  const auto gradients = torch::autograd::grad({found}, inputs, {grad});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(torch::allclose(gradients[i], wanted[i], 1e-9, 1e-9)) << "input " << i;
  }
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::allclose(attention(in), expected, 1e-10, 1e-10));
}

// That of the CPU, and that of devices: it is made of operators that the CPU has, too.
void expect_same(const std::vector<LengthGroup>& groups, const AttentionShape& shape) {
  const std::int64_t rows = groups.back().first_row + groups.back().count * groups.back().length;
  const Inputs in(rows, shape);
  const torch::Tensor expected = by_definition(in.q, in.k, in.v, groups, shape);
  expect_same(
      [&](const Inputs& x) { return packed_attention(x.q, x.k, x.v, groups, shape); },
      in,
      expected);
  if (shape.softcap == 0) {
    SCOPED_TRACE("padded_attention");
    const PaddedPlaces places = padded_places(groups, torch::kCPU);
    const auto heads = [&](const torch::Tensor& x) { return x.view({rows, -1, shape.head_dim}); };
    expect_same(
        [&](const Inputs& x) {
          return padded_attention(heads(x.q), heads(x.k), heads(x.v), places, shape).flatten(1);
        },
        in,
        expected);
  }
}

TEST_F(PackedAttentionTest, GradientsMatchDifferences) {
  const AttentionShape shape{4, 2, 3, 0.6, 2};
  const Inputs in(9, shape);
  const std::vector<LengthGroup> groups = {{0, 2, 1}, {2, 1, 3}, {5, 1, 4}};
  expect_gradients(
      [&] { return packed_attention(in.q, in.k, in.v, groups, shape); }, {in.q, in.k, in.v});
}

TEST_F(PackedAttentionTest, OneInputThatNeedsAGradient) {
  const AttentionShape shape{2, 1, 3, 1.0, 0};
  const Inputs in(6, shape);
  const torch::Tensor q = in.q.detach();
  const torch::Tensor k = in.k.detach();
  const torch::Tensor v = in.v.detach();
  const std::vector<LengthGroup> groups = {{0, 2, 3}};
  expect_gradients([&] { return packed_attention(in.q, k, v, groups, shape); }, {in.q});
  expect_gradients([&] { return packed_attention(q, in.k, v, groups, shape); }, {in.k});
  expect_gradients([&] { return packed_attention(q, k, in.v, groups, shape); }, {in.v});
}

TEST_F(PackedAttentionTest, ShortSequences) {
  for (const std::int64_t window : {0, 1, 3, 50}) {
    expect_same({{0, 3, 1}, {3, 2, 5}, {13, 1, 17}}, {6, 2, 4, 0.5, window});
    expect_same({{0, 2, 9}}, {3, 3, 5, 0.3, window});
    expect_same({{0, 2, 9}}, {4, 1, 5, 0.3, window});
  }
}

// Longer than a block of queries, so that probabilities are computed again in the backward pass.
TEST_F(PackedAttentionTest, LongSequences) {
  for (const std::int64_t window : {0, 7, 300}) {
    expect_same({{0, 1, 5}, {5, 2, 600}}, {2, 1, 4, 0.5, window});
  }
}

TEST_F(PackedAttentionTest, SoftCap) {
  expect_same({{0, 3, 1}, {3, 2, 5}, {13, 1, 17}}, {6, 2, 4, 0.5, 3, 1.2});
  expect_same({{0, 1, 5}, {5, 2, 600}}, {2, 1, 4, 0.5, 0, 0.7});
  const AttentionShape shape{4, 2, 3, 0.6, 0, 0.9};
  const Inputs in(7, shape);
  const std::vector<LengthGroup> groups = {{0, 1, 3}, {3, 1, 4}};
  expect_gradients(
      [&] { return packed_attention(in.q, in.k, in.v, groups, shape); }, {in.q, in.k, in.v});
}

TEST_F(PackedAttentionTest, BfloatFollowsFloat) {
  const AttentionShape shape{4, 2, 8, 0.35, 0};
  const std::vector<LengthGroup> groups = {{0, 2, 6}, {12, 1, 11}};
  const Inputs in(23, shape);
  const auto narrow = [](const torch::Tensor& x) { return x.detach().to(torch::kBFloat16); };
  const torch::Tensor found =
      packed_attention(narrow(in.q), narrow(in.k), narrow(in.v), groups, shape);
  EXPECT_EQ(found.scalar_type(), torch::kBFloat16);
  const torch::Tensor exact = packed_attention(in.q, in.k, in.v, groups, shape);
  EXPECT_LT((found.to(torch::kFloat64) - exact).abs().max().item<double>(), 0.05);
}

} // namespace
} // namespace errata
