#pragma once

#include "peft/attachment.h"

#include <cstdint>
#include <string>
#include <vector>

namespace errata::peft {

/// A bidirectional LSTM over the rows of a prompt, through which it is trained and which is not
/// kept: started as torch.nn.LSTM starts, with its names.
class BidirectionalLstm {
 public:
  BidirectionalLstm(
      std::int64_t in,
      std::int64_t hidden,
      std::int64_t layers,
      const torch::Device& device,
      torch::Generator& generator);

  /// [rows, in] to [rows, 2 * hidden]: forwards beside backwards.
  torch::Tensor forward(const torch::Tensor& rows) const;
  /// "<prefix>.weight_ih_l0", ..., "<prefix>.bias_hh_l1_reverse".
  NamedTensors named_tensors(const std::string& prefix) const;

 private:
  std::int64_t hidden_;
  std::int64_t layers_;
  std::vector<torch::Tensor> weights_; ///< as torch::lstm takes them
};

} // namespace errata::peft
