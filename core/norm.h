#pragma once

#include "core/adaptable.h"
#include "core/decoder_config.h"
#include "core/torch.h"

#include <memory>

namespace errata {

/// A normalisation of the last dimension, as `DecoderConfig::norm` says.
class NormImpl : public AdaptableImpl {
 public:
  torch::Tensor forward(const torch::Tensor& x) { return adapted(x, x.scalar_type()); }
};
using Norm = std::shared_ptr<NormImpl>;

/// Its parameters are left uninitialised.
Norm make_norm(const DecoderConfig& config, std::int64_t size, torch::TensorOptions options);

} // namespace errata
