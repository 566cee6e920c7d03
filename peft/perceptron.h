#pragma once

#include "peft/attachment.h"

#include <cstdint>
#include <string>
#include <vector>

namespace errata::peft {

/// A small network through which a prompt is trained and which is not kept: linear layers with
/// `activation` ("relu" or "tanh") between them, started as torch.nn.Linear starts.
class Perceptron {
 public:
  /// `sizes`: of the input, of every hidden layer and of the output.
  Perceptron(
      const std::vector<std::int64_t>& sizes,
      std::string activation,
      const torch::Device& device,
      torch::Generator& generator);

  torch::Tensor forward(torch::Tensor x) const;
  /// "<prefix>.<layer>.weight" and ".bias".
  NamedTensors named_tensors(const std::string& prefix) const;

 private:
  struct Layer {
    torch::Tensor weight;
    torch::Tensor bias;
  };
  std::vector<Layer> layers_;
  std::string activation_;
};

} // namespace errata::peft
