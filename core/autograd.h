#pragma once

#include "core/torch.h"

namespace errata {

/// True when an autograd node is wanted: gradients are on and one of `tensors` needs one. Kernels
/// skip the node otherwise, because inference on small models is bound by such fixed costs.
template <typename... Tensors>
bool needs_graph(const Tensors&... tensors) {
  return torch::GradMode::is_enabled() && ((tensors.defined() && tensors.requires_grad()) || ...);
}

/// The dtype in which statistics of `dtype` are computed: float64 for itself, else float32.
inline torch::Dtype statistics_dtype(torch::Dtype dtype) {
  return dtype == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

} // namespace errata
