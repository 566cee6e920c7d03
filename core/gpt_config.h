#pragma once

// GPT-2 and GPT-J; fields and defaults as in transformers models/{gpt2,gptj}/configuration_*.py.
// For model_config.cpp only.

#include "core/base/json.h"
#include "core/decoder_config.h"

namespace errata {

/// GPT-2 (Radford et al. 2019): learned positions, LayerNorm, one matrix for q, k and v, weights
/// stored as [in, out].
DecoderConfig parse_gpt2(const JsonFields& config);

/// GPT-J (Wang & Komatsuzaki 2021): attention and MLP side by side, neighbours turn in the first
/// `rotary_dim` dimensions of a head.
DecoderConfig parse_gptj(const JsonFields& config);

} // namespace errata
