#pragma once

#include "core/torch.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace errata::testing_support {

using TensorFunction = std::function<torch::Tensor(const std::vector<torch::Tensor>&)>;

/// One rounding of a bfloat16 result; in float32 sums of hundreds of terms.
inline double tolerance_of(torch::Dtype dtype) {
  return dtype == torch::kBFloat16 ? 1.0 / 128 : 5e-6;
}

inline void expect_close(
    const torch::Tensor& found, const torch::Tensor& exact, double relative, const char* what) {
  ASSERT_EQ(found.sizes(), exact.sizes()) << what;
  const torch::Tensor error = (found.to(torch::kFloat64) - exact).abs();
  const double worst =
      (error / (exact.abs() + 0.1 * exact.abs().max() + 1e-12)).max().item<double>();
  EXPECT_LT(worst, relative) << what << ' ' << found.sizes() << ' ' << found.scalar_type();
}

/// Value and all gradients of `function`, in the dtype of `inputs` and in float64.
inline void expect_follows_float64(
    const TensorFunction& function, const std::vector<torch::Tensor>& inputs, double slack = 1.0) {
  const auto leaves = [&](torch::Dtype dtype) {
    std::vector<torch::Tensor> result;
    for (const torch::Tensor& input : inputs) {
      // The strides stay, and with them what is not contiguous.
      torch::Tensor leaf = dtype == torch::kFloat64 ? input.to(dtype) : input.detach();
      result.push_back(leaf.requires_grad_());
    }
    return result;
  };
  const torch::Dtype dtype = inputs[0].scalar_type();
  const auto narrow = leaves(dtype);
  const auto wide = leaves(torch::kFloat64);
  const torch::Tensor found = function(narrow);
  const torch::Tensor exact = function(wide);
  EXPECT_EQ(found.scalar_type(), dtype);
  expect_close(found.detach(), exact.detach(), slack * tolerance_of(dtype), "value");
  const torch::Tensor grad = torch::randn(found.sizes()).to(dtype);
  const auto gradients = torch::autograd::grad({found}, narrow, {grad});
  const auto expected = torch::autograd::grad({exact}, wide, {grad.to(torch::kFloat64)});
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    expect_close(gradients[i], expected[i], slack * tolerance_of(dtype), "gradient");
  }
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(function(narrow), found));
}

} // namespace errata::testing_support
