#pragma once

#include "peft/adapter.h"

namespace errata::peft {

/// Moves every parameter, as training would.
inline void shake(const Adapter& adapter, double size = 0.2) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : adapter.named_parameters()) {
    tensor.detach().add_(torch::randn_like(tensor), size);
  }
}

} // namespace errata::peft
