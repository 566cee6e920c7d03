#pragma once

#include "core/torch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

namespace errata::testing_support {

/// Compares the gradients that backward() gives for `inputs` with central differences of
/// `function`, whose result may have any shape: it is reduced to a scalar by fixed random weights.
/// `inputs` are float64 leaves that need gradients; `function` reads them anew at each call.
inline void expect_gradients(
    const std::function<torch::Tensor()>& function,
    const std::vector<torch::Tensor>& inputs,
    double tolerance = 1e-7,
    double step = 1e-5) {
  const torch::Tensor output = function();
  const torch::Tensor weights = torch::randn(output.sizes(), torch::kFloat64);
  const auto loss = [&] { return (function() * weights).sum(); };
  const std::vector<torch::Tensor> gradients = torch::autograd::grad(
      {loss()}, inputs, {}, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/false);
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_EQ(inputs[i].scalar_type(), torch::kFloat64);
    ASSERT_TRUE(inputs[i].is_contiguous());
    const torch::Tensor gradient = gradients[i].contiguous();
    ASSERT_EQ(gradient.sizes(), inputs[i].sizes());
    auto* values = inputs[i].data_ptr<double>();
    for (std::int64_t k = 0; k < inputs[i].numel(); ++k) {
      const double kept = values[k];
      values[k] = kept + step;
      const double above = loss().item<double>();
      values[k] = kept - step;
      const double below = loss().item<double>();
      values[k] = kept;
      const double expected = (above - below) / (2 * step);
      const double found = gradient.data_ptr<double>()[k];
      ASSERT_NEAR(found, expected, tolerance * (1 + std::abs(expected)))
          << "input " << i << ", element " << k;
    }
  }
}

/// The same along one random direction an input: for functions too slow to look at every element.
inline void expect_directional_gradients(
    const std::function<torch::Tensor()>& function,
    const std::vector<torch::Tensor>& inputs,
    double tolerance = 1e-6,
    double step = 1e-5) {
  const torch::Tensor weights = torch::randn(function().sizes(), torch::kFloat64);
  const auto loss = [&] { return (function() * weights).sum(); };
  const std::vector<torch::Tensor> gradients = torch::autograd::grad({loss()}, inputs);
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const torch::Tensor direction = torch::randn_like(inputs[i]);
    const torch::Tensor kept = inputs[i].clone();
    torch::Tensor input = inputs[i];
    input.copy_(kept + direction * step);
    const double above = loss().item<double>();
    input.copy_(kept - direction * step);
    const double below = loss().item<double>();
    input.copy_(kept);
    const double expected = (above - below) / (2 * step);
    const double found = (gradients[i] * direction).sum().item<double>();
    EXPECT_NEAR(found, expected, tolerance * (1 + std::abs(expected))) << "input " << i;
  }
}

/// `output` [rows, ...] and, for each of `inputs`, the gradient of its sum weighted by `weights`;
/// undefined where nothing depends on the input.
inline std::vector<torch::Tensor> output_and_gradients(
    const torch::Tensor& output,
    const torch::Tensor& weights,
    const std::vector<torch::Tensor>& inputs) {
  auto results = torch::autograd::grad(
      {(output * weights).sum()}, inputs, {}, std::nullopt, false, /*allow_unused=*/true);
  results.insert(results.begin(), output.detach());
  return results;
}

/// The same tensors are there, each element within `tolerance * (1 + |expected|)`.
inline void expect_all_close(
    const std::vector<torch::Tensor>& found,
    const std::vector<torch::Tensor>& expected,
    double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(found[i].defined(), expected[i].defined()) << "tensor " << i;
    if (expected[i].defined()) {
      EXPECT_TRUE(torch::allclose(found[i], expected[i], tolerance, tolerance)) << "tensor " << i;
    }
  }
}

/// A float64 leaf of random values that needs a gradient.
inline torch::Tensor random_leaf(torch::IntArrayRef sizes) {
  return torch::randn(sizes, torch::TensorOptions().dtype(torch::kFloat64).requires_grad(true));
}

} // namespace errata::testing_support
