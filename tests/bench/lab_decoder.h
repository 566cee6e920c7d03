#pragma once

#include "core/decoder.h"
#include "core/generation.h"

#include <cstdint>
#include <vector>

/// What the benchmarks share: the lab model's shape with random weights, and random texts.
namespace errata::bench {

Decoder lab_decoder(torch::Dtype dtype = torch::kFloat32);

/// Random sequences of `least` to `least + spread - 1` tokens, about `tokens` in all.
std::vector<Tokens> sequences(std::int64_t tokens, std::size_t least, std::size_t spread);

} // namespace errata::bench
