#include "peft/lstm.h"

#include <cmath>

namespace errata::peft {
namespace {

// cuDNN wants all weights in one piece of memory and a training mode; LibTorch's own kernels do
// not.
class WithoutCudnn {
 public:
  WithoutCudnn() { at::globalContext().setUserEnabledCuDNN(false); }
  ~WithoutCudnn() { at::globalContext().setUserEnabledCuDNN(enabled_); }
  WithoutCudnn(const WithoutCudnn&) = delete;
  WithoutCudnn& operator=(const WithoutCudnn&) = delete;

 private:
  bool enabled_ = at::globalContext().userEnabledCuDNN();
};

} // namespace

BidirectionalLstm::BidirectionalLstm(
    std::int64_t in,
    std::int64_t hidden,
    std::int64_t layers,
    const torch::Device& device,
    torch::Generator& generator)
    : hidden_(hidden), layers_(layers) {
  constexpr std::int64_t kGates = 4;
  const double bound = 1.0 / std::sqrt(static_cast<double>(hidden));
  const auto add = [&](torch::IntArrayRef shape) {
    weights_.push_back(
        torch::empty(shape).uniform_(-bound, bound, generator).to(device).requires_grad_(true));
  };
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::int64_t width = layer == 0 ? in : 2 * hidden;
    for (int direction = 0; direction < 2; ++direction) {
      add({kGates * hidden, width});
      add({kGates * hidden, hidden});
      add({kGates * hidden});
      add({kGates * hidden});
    }
  }
}

torch::Tensor BidirectionalLstm::forward(const torch::Tensor& rows) const {
  const WithoutCudnn kernels_of_libtorch;
  const torch::Tensor zeros = torch::zeros({2 * layers_, 1, hidden_}, rows.options());
  return std::get<0>(torch::lstm(
                         rows.unsqueeze(1),
                         {zeros, zeros},
                         weights_,
                         /*has_biases=*/true,
                         layers_,
                         /*dropout=*/0.0,
                         /*train=*/false,
                         /*bidirectional=*/true,
                         /*batch_first=*/false))
      .squeeze(1);
}

NamedTensors BidirectionalLstm::named_tensors(const std::string& prefix) const {
  NamedTensors all;
  std::size_t next = 0;
  for (std::int64_t layer = 0; layer < layers_; ++layer) {
    for (const char* direction : {"", "_reverse"}) {
      for (const char* part : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
        all.emplace_back(
            prefix + "." + part + "_l" + std::to_string(layer) + direction, weights_[next++]);
      }
    }
  }
  return all;
}

} // namespace errata::peft
