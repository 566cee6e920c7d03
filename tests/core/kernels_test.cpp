#include "core/gated_activation.h"
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
