#pragma once

#include "core/decoder_config.h"
#include "core/torch.h"

namespace errata {

/// `activation(gate) * up` of tensors of one shape: the inside of a gated MLP. Keeps its two inputs
/// for the backward pass and nothing else.
torch::Tensor gated_activation(
    const torch::Tensor& gate, const torch::Tensor& up, Activation activation);

/// `activation(x)`: the inside of an MLP that is not gated.
torch::Tensor activate(const torch::Tensor& x, Activation activation);

} // namespace errata
