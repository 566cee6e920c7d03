#pragma once

#include "core/decoder_config.h"
#include "core/torch.h"

#include <memory>

namespace errata {

/// A normalisation of the last dimension, as `DecoderConfig::norm` says.
class NormImpl : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(const torch::Tensor& x) = 0;
};
using Norm = std::shared_ptr<NormImpl>;

/// Its parameters are left uninitialised.
Norm make_norm(const DecoderConfig& config, std::int64_t size, torch::TensorOptions options);

} // namespace errata
