#pragma once

#include "core/torch.h"

#include <vector>

namespace errata {

/// Where a backward pass leaves the gradients of what is trained: added to the parameters' own, or
/// kept apart, so that passes can run at the same time and still be added in one order.
class GradientSink {
 public:
  /// The parameters' own.
  GradientSink() = default;
  /// Apart; `trained` are leaves.
  explicit GradientSink(std::vector<torch::Tensor> trained);

  /// Goes backward from `output` with its `gradient`. Returns what arrives at the leaf `input`
  /// (undefined: none is asked for).
  torch::Tensor backward(
      const torch::Tensor& output, const torch::Tensor& gradient, const torch::Tensor& input = {});

  /// Adds what was kept apart to the parameters' own gradients.
  void add_to_parameters() const;

 private:
  std::vector<torch::Tensor> trained_;
  std::vector<torch::Tensor> sums_; ///< undefined where nothing arrived yet
};

} // namespace errata
