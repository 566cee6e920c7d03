#include "peft/perceptron.h"

#include <cmath>

namespace errata::peft {

Perceptron::Perceptron(
    const std::vector<std::int64_t>& sizes,
    std::string activation,
    const torch::Device& device,
    torch::Generator& generator)
    : activation_(std::move(activation)) {
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(sizes[i]));
    const auto leaf = [&](torch::IntArrayRef shape) {
      return torch::empty(shape).uniform_(-bound, bound, generator).to(device).requires_grad_(true);
    };
    layers_.push_back({leaf({sizes[i + 1], sizes[i]}), leaf({sizes[i + 1]})});
  }
}

torch::Tensor Perceptron::forward(torch::Tensor x) const {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    x = torch::linear(x, layers_[i].weight, layers_[i].bias);
    if (i + 1 < layers_.size()) {
      x = activation_ == "relu" ? torch::relu(x) : torch::tanh(x);
    }
  }
  return x;
}

NamedTensors Perceptron::named_tensors(const std::string& prefix) const {
  NamedTensors all;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::string name = prefix + "." + std::to_string(i);
    all.emplace_back(name + ".weight", layers_[i].weight);
    all.emplace_back(name + ".bias", layers_[i].bias);
  }
  return all;
}

} // namespace errata::peft
