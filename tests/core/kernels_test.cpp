#include "core/gated_activation.h"
#include "core/kernel_tensors.h"
#include "core/rms_norm.h"
#include "core/rope.h"
#include "tests/support/float64_check.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

// The one-pass kernels of float32 and bfloat16 against the same functions in float64, which go
// through LibTorch's operators and are themselves compared with finite differences.

namespace errata {
namespace {

using KernelsTest = testing_support::SeedingTest;
using Function = testing_support::TensorFunction;
using testing_support::expect_follows_float64;

torch::Tensor random(torch::IntArrayRef sizes, torch::Dtype dtype) {
  return torch::randn(sizes).to(dtype);
}

// Every second column of a wider matrix.
torch::Tensor strided(std::int64_t rows, std::int64_t n, torch::Dtype dtype) {
  return random({rows, 2 * n}, dtype).slice(1, 0, 2 * n, 2);
}

const torch::Dtype kDtypes[] = {torch::kFloat32, torch::kBFloat16};

TEST_F(KernelsTest, NormFollowsFloat64) {
  for (const torch::Dtype dtype : kDtypes) {
    for (const bool adds_one : {true, false}) {
      const Function norm = [&](const std::vector<torch::Tensor>& in) {
        return rms_norm(in[0], in[1], 1e-6, adds_one);
      };
      // Without `adds_one` the value is rounded twice.
      const double slack = adds_one ? 1.0 : 1.5;
      for (const std::int64_t n : {3, 16, 37, 256}) {
        for (const std::int64_t rows : {1, 5, 700}) {
          expect_follows_float64(norm, {random({rows, n}, dtype), random({n}, dtype)}, slack);
        }
      }
      expect_follows_float64(norm, {strided(6, 21, dtype), random({21}, dtype)}, slack);
      expect_follows_float64(norm, {random({2, 3, 5}, dtype), random({5}, dtype)}, slack);
    }
  }
}

TEST_F(KernelsTest, RotationFollowsFloat64) {
  for (const torch::Dtype dtype : kDtypes) {
    for (const std::int64_t head_dim : {2, 6, 38, 64}) {
      RopeTable table({}, head_dim);
      for (const std::int64_t rows : {1, 9, 300}) {
        const torch::Tensor positions = torch::arange(rows, torch::kInt64);
        const RopeAngles angles = table.angles(positions, {}, rows, dtype);
        const RopeAngles wide{angles.cos.to(torch::kFloat64), angles.sin.to(torch::kFloat64)};
        const Function rotation = [&](const std::vector<torch::Tensor>& in) {
          return rotate(in[0], in[0].scalar_type() == dtype ? angles : wide);
        };
        expect_follows_float64(rotation, {random({rows, 3, head_dim}, dtype)});
        expect_follows_float64(
            rotation, {strided(rows, 2 * head_dim, dtype).unflatten(1, {2, head_dim})});
      }
    }
  }
}

TEST_F(KernelsTest, GateFollowsFloat64) {
  for (const torch::Dtype dtype : kDtypes) {
    for (const Activation activation : {Activation::kGeluTanh, Activation::kSilu}) {
      const Function gate = [&](const std::vector<torch::Tensor>& in) {
        return gated_activation(in[0] * 3, in[1], activation);
      };
      const Function plain = [&](const std::vector<torch::Tensor>& in) {
        return gated_activation(in[0], in[1], activation);
      };
      for (const std::int64_t rows : {1, 5, 900}) {
        expect_follows_float64(plain, {random({rows, 77}, dtype), random({rows, 77}, dtype)});
      }
      expect_follows_float64(plain, {strided(5, 19, dtype), strided(5, 19, dtype)});
      if (dtype == torch::kFloat32) {
        expect_follows_float64(gate, {random({40, 50}, dtype), random({40, 50}, dtype)});
      }
    }
  }
}

// Over the whole range and at its ends, relative to each value and not to the largest.
TEST_F(KernelsTest, ActivationIsAccurateEverywhere) {
  const torch::Tensor x = torch::linspace(-30, 30, 200001);
  for (const Activation activation : {Activation::kGeluTanh, Activation::kSilu}) {
    const torch::Tensor exact =
        activation == Activation::kSilu
            ? x.to(torch::kFloat64).sigmoid() * x
            : (x.to(torch::kFloat64) + 0.044715 * x.to(torch::kFloat64).pow(3))
                      .mul(2 * std::sqrt(2 / std::acos(-1.0)))
                      .sigmoid() *
                  x;
    const torch::Tensor found = gated_activation(x, torch::ones_like(x), activation);
    // An error of the argument is multiplied by it: up to 40 where exp has not yet gone under.
    const torch::Tensor error = (found - exact).abs() / (exact.abs() + 1e-18);
    EXPECT_LT(error.max().item<double>(), 1e-5);
    EXPECT_LT(error.masked_select(x > -2).max().item<double>(), 1e-6);
    const float infinity = std::numeric_limits<float>::infinity();
    const torch::Tensor ends =
        torch::tensor({-1e30F, -100.0F, 100.0F, 1e30F, infinity, std::nanf("")});
    const torch::Tensor at_ends = gated_activation(ends, torch::ones_like(ends), activation);
    EXPECT_NEAR(at_ends[1].item<double>(), 0.0, 1e-30);
    EXPECT_EQ(at_ends[2].item<double>(), 100.0);
    EXPECT_EQ(at_ends[4].item<float>(), infinity);
    EXPECT_TRUE(at_ends[5].isnan().item<bool>());
  }
}

TEST_F(KernelsTest, BfloatKeepsNanAndRoundsToEven) {
  const torch::Tensor x =
      torch::tensor({1.0F, std::nanf(""), 1.00390625F, 1.01171875F}).to(torch::kBFloat16);
  const torch::Tensor none = torch::zeros({4, 1}, torch::kBFloat16);
  const torch::Tensor y = rotate(x.view({4, 1, 1}).repeat({1, 1, 2}), {none + 1, none});
  EXPECT_TRUE(y[1][0][0].isnan().item<bool>());
  EXPECT_TRUE(torch::equal(y[2][0][0], x[2]));
  // LibTorch's own rounding of products is the judge.
  const torch::Tensor a = random({64, 1, 2}, torch::kBFloat16);
  const torch::Tensor c = random({64, 1}, torch::kBFloat16);
  const torch::Tensor zero = torch::zeros({64, 1}, torch::kBFloat16);
  EXPECT_TRUE(torch::equal(rotate(a, {c, zero}), a * c.unsqueeze(1)));
}

// Attention over a cache from its definition, a number at a time.
torch::Tensor cached_attention(
    const kernels::Attention& shape,
    const torch::Tensor& q,    // [steps, heads, dim]
    const torch::Tensor& keys, // [kv_heads, slots, dim]
    const torch::Tensor& values,
    std::int64_t before) {
  torch::Tensor out = torch::empty(q.sizes(), torch::kFloat64);
  for (std::int64_t i = 0; i < q.size(0); ++i) {
    for (std::int64_t h = 0; h < shape.heads; ++h) {
      const std::int64_t g = h / (shape.heads / shape.kv_heads);
      const std::int64_t seen = before + i + 1;
      torch::Tensor scores = keys[g].narrow(0, 0, seen).matmul(q[i][h]) * shape.scale;
      if (shape.softcap > 0) {
        scores = torch::tanh(scores / shape.softcap) * shape.softcap;
      }
      out[i][h] = torch::softmax(scores, 0).matmul(values[g].narrow(0, 0, seen));
    }
  }
  return out;
}

TEST_F(KernelsTest, AttentionOverACacheFollowsItsDefinition) {
  constexpr std::int64_t kSlots = 135;
  for (const torch::Dtype dtype : kDtypes) {
    for (const std::int64_t dim : {3, 6, 16, 64, 80, 256}) {
      for (const std::int64_t length : {1, 2, 3, 4, 7, 40, 131}) {
        const std::int64_t steps = length > 3 ? 3 : 1;
        const kernels::Attention shape = {4, 2, dim, 0, 0.2F, length % 2 == 0 ? 3.0F : 0.0F};
        const torch::Tensor q = random({steps, 4, dim}, dtype);
        const torch::Tensor keys = random({2, kSlots, dim}, dtype);
        torch::Tensor values = random({2, kSlots, dim}, dtype);
        // What is behind the last token is never read.
        values.narrow(1, length, kSlots - length).fill_(std::nan(""));
        const torch::Tensor out = torch::empty(q.sizes(), dtype);
        std::vector<float> scratch(
            static_cast<std::size_t>(kernels::attention_cached_scratch(shape, length)));
        with_kernel_type(dtype, [&](auto type) {
          using T = decltype(type);
          kernels::attention_cached(
              shape,
              steps,
              length - steps,
              kSlots,
              kernel_data<T>(q),
              kernel_data<T>(keys),
              kernel_data<T>(values),
              kernel_data<T>(out),
              scratch.data());
        });
        const torch::Tensor expected = cached_attention(
            shape,
            q.to(torch::kFloat64),
            keys.to(torch::kFloat64),
            values.to(torch::kFloat64),
            length - steps);
        EXPECT_TRUE(torch::allclose(
            out.to(torch::kFloat64),
            expected,
            dtype == torch::kFloat32 ? 1e-5 : 5e-3,
            dtype == torch::kFloat32 ? 1e-5 : 5e-3))
            << dtype << ", " << dim << " numbers a head, " << length << " tokens";
      }
    }
  }
}

TEST_F(KernelsTest, LargestIsTheFirstOfEqualOnes) {
  const float infinite = std::numeric_limits<float>::infinity();
  const auto largest = [](const torch::Tensor& x) {
    std::vector<std::int64_t> places(static_cast<std::size_t>(x.size(0)));
    with_kernel_type(x.scalar_type(), [&](auto type) {
      kernels::largest(x.size(1), x.size(0), kernel_data<const decltype(type)>(x), places.data());
    });
    return places;
  };
  for (const torch::Dtype dtype : kDtypes) {
    for (const std::int64_t n : {1, 2, 511, 512, 513, 3000}) {
      torch::Tensor x = random({6, n}, dtype); // bfloat16 has many equal ones
      x[1].fill_(-infinite);
      x[2].fill_(2.5);
      x[3][n - 1] = infinite;
      x[4][n / 2] = std::nan("");
      x[4][n - 1] = infinite;
      const torch::Tensor best = x.argmax(1);
      const auto* const expected = best.data_ptr<std::int64_t>();
      EXPECT_EQ(largest(x), std::vector<std::int64_t>(expected, expected + 6)) << dtype << n;
    }
  }
}

TEST_F(KernelsTest, SameBytesTwice) {
  const torch::Tensor x = random({3000, 64}, torch::kBFloat16).requires_grad_();
  const torch::Tensor weight = torch::randn({64}).requires_grad_();
  const torch::Tensor grad = random({3000, 64}, torch::kBFloat16);
  const auto run = [&] {
    return torch::autograd::grad({rms_norm(x, weight, 1e-6, true)}, {x, weight}, {grad});
  };
  const auto once = run();
  for (int i = 0; i < 5; ++i) {
    const auto again = run();
    EXPECT_TRUE(torch::equal(once[0], again[0]));
    EXPECT_TRUE(torch::equal(once[1], again[1]));
  }
}

} // namespace
} // namespace errata
