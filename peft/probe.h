#pragma once

#include "core/model.h"
#include "core/torch.h"

#include <cstdint>
#include <vector>

namespace errata::peft {

/// A fixed set of short sequences on which two forms of one model are compared: sentences when the
/// model has a tokenizer, else pseudo-random tokens.
std::vector<std::vector<std::int32_t>> probe_sequences(const Model& model);

/// Log-probability of every token but the first of each sequence, float32 on the CPU.
torch::Tensor probe_log_probabilities(
    Decoder& model, const std::vector<std::vector<std::int32_t>>& sequences);

} // namespace errata::peft
