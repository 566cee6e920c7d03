#pragma once

#include "core/decoder_config.h"
#include "core/linear.h"
#include "core/packed_batch.h"
#include "core/torch.h"

#include <string>
#include <utility>
#include <vector>

namespace errata {

/// What a recurrent layer carries from one token to the next.
struct RecurrentState {
  torch::Tensor inputs; ///< of the convolution, the last conv_width - 1: [rows, width - 1, lru]
  torch::Tensor hidden; ///< of the RG-LRU, float: [rows, lru]
};

/// Which rows belong together in a pass, and what was before them.
struct RecurrentPass {
  std::vector<LengthGroup> groups;
  /// Of the one group's sequences; changed by the pass. Null: all sequences begin here.
  RecurrentState* state = nullptr;
  torch::Tensor begins; ///< bool [rows of state]: sequences whose first token comes now
};

/// Griffin's recurrent block (2402.19427, section 2.3 and appendix A): a gated branch times a
/// convolution of `conv_width` tokens and a real-gated linear recurrent unit.
class RecurrentBlockImpl : public torch::nn::Module {
 public:
  RecurrentBlockImpl(const DecoderConfig& config, torch::TensorOptions options);

  /// `x` is [rows, hidden]; rows of no group become the block's answer to zeros.
  torch::Tensor forward(const torch::Tensor& x, const RecurrentPass& pass);

  const std::vector<std::pair<std::string, Linear>>& linears() const { return linears_; }

 private:
  torch::Tensor recur(const torch::Tensor& u, const RecurrentPass& pass) const;
  torch::Tensor convolve(const torch::Tensor& u, torch::Tensor* inputs) const;
  torch::Tensor gate(
      const torch::Tensor& u, const torch::Tensor& weight, const torch::Tensor& bias) const;
  torch::Tensor rg_lru(
      const torch::Tensor& u, const torch::Tensor& begins, torch::Tensor* hidden) const;

  Linear linear_y_{nullptr};
  Linear linear_x_{nullptr};
  Linear linear_out_{nullptr};
  torch::Tensor conv_weight_; ///< [lru, 1, width]
  torch::Tensor conv_bias_;
  torch::Tensor recurrent_param_;   ///< Lambda, [lru]
  torch::Tensor input_gate_weight_; ///< [heads, lru / heads (in), lru / heads (out)]
  torch::Tensor input_gate_bias_;   ///< [heads, lru / heads]
  torch::Tensor recurrent_gate_weight_;
  torch::Tensor recurrent_gate_bias_;
  std::vector<std::pair<std::string, Linear>> linears_;
  Activation activation_;
  std::int64_t heads_;
};
TORCH_MODULE(RecurrentBlock);

} // namespace errata
