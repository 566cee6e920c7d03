#pragma once

#include "peft/adapter.h"
#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"

#include <gtest/gtest.h>

#include <vector>

namespace errata::peft {

/// Log-probabilities and the gradients of all parameters, on the CPU.
struct Computed {
  torch::Tensor log_probabilities;
  std::vector<torch::Tensor> gradients;
};

inline Computed compute(Decoder& model, const Adapter& adapter) {
  std::vector<torch::Tensor> parameters;
  for (const auto& [name, tensor] : adapter.named_parameters()) {
    parameters.push_back(tensor);
  }
  const torch::Tensor hidden = model->hidden(testing_support::tiny_batch(model->device()));
  const torch::Tensor loss = (hidden * torch::arange(hidden.size(1), hidden.device())).sum();
  Computed result{testing_support::log_probabilities(model), {}};
  for (const torch::Tensor& gradient : torch::autograd::grad({loss}, parameters)) {
    result.gradients.push_back(gradient.cpu());
  }
  return result;
}

/// An adapter computes on a CUDA device, merged too if it can be, what it computes on the CPU.
inline void expect_same_on_cuda(Decoder model, const AdapterConfig& config) {
  std::vector<torch::Tensor> values;
  Computed here;
  {
    const auto adapter = attach_adapter(model, config, 7);
    shake(*adapter);
    for (const auto& [name, tensor] : adapter->named_parameters()) {
      values.push_back(tensor.detach().clone());
    }
    here = compute(model, *adapter);
  }
  model->to(torch::kCUDA);
  const auto adapter = attach_adapter(model, config, 7);
  ASSERT_EQ(adapter->named_parameters().size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const torch::Tensor tensor = adapter->named_parameters()[i].second;
    EXPECT_TRUE(tensor.is_cuda());
    tensor.detach().copy_(values[i]);
  }
  const Computed there = compute(model, *adapter);
  const auto expect_close = [](const torch::Tensor& a, const torch::Tensor& b) {
    EXPECT_TRUE(torch::allclose(a, b, 1e-3, 1e-3 * b.abs().max().item<double>()));
  };
  expect_close(there.log_probabilities, here.log_probabilities);
  for (std::size_t i = 0; i < values.size(); ++i) {
    SCOPED_TRACE(adapter->named_parameters()[i].first);
    expect_close(there.gradients[i], here.gradients[i]);
  }
  if (adapter->can_merge()) {
    adapter->merge();
    expect_close(testing_support::log_probabilities(model), here.log_probabilities);
    adapter->unmerge();
  }
}

} // namespace errata::peft
