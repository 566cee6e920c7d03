#pragma once

#include "peft/lora.h"

#include <cstdint>

namespace errata::peft {

/// Where a LoRA starts: its factors (float32, on the weight's device, requiring gradients) and what
/// its change is counted from (fixed; empty unless PiSSA or OLoRA).
struct LoraStart {
  LowRank factors;
  LowRank from;
};

/// By `config.init`, for a weight [out, in]. A rank above the weight's smaller side, with PiSSA or
/// OLoRA, is `kInvalidArgument`.
LoraStart start_lora(
    const AdapterConfig& config,
    const torch::Tensor& weight,
    std::int64_t rank,
    double scale,
    torch::Generator& generator);

/// The `rank` largest singular triples of `matrix`: U [m, rank], S [rank], V [rank, n].
struct SingularTriples {
  torch::Tensor u;
  torch::Tensor s;
  torch::Tensor v;
};
SingularTriples largest_triples(const torch::Tensor& matrix, std::int64_t rank);

} // namespace errata::peft
