#pragma once

// Families with one kind of rotary positions for all layers; but for Gemma 2's further norms their
// blocks are Llama's. Fields and defaults as in transformers
// models/{llama,mistral,qwen2,qwen3,gemma,gemma2}/configuration_*.py. For model_config.cpp only.

#include "core/base/json.h"
#include "core/decoder_config.h"

namespace errata {

/// Llama 1 to 3.x (2302.13971, 2307.09288, 2407.21783).
DecoderConfig parse_llama(const JsonFields& config);

/// Mistral (2310.06825): `sliding_window` holds for all layers.
DecoderConfig parse_mistral(const JsonFields& config);

/// Qwen 2 and 2.5 (2407.10671, 2412.15115): biases on q, k and v.
DecoderConfig parse_qwen2(const JsonFields& config);

/// Qwen 3 (2505.09388): norms of queries and keys.
DecoderConfig parse_qwen3(const JsonFields& config);

/// Gemma 1 (2403.08295): (1 + w) norms, scaled embedding, tanh-GELU.
DecoderConfig parse_gemma(const JsonFields& config);

/// Gemma 2 (2408.00118): norms after attention and MLP too, soft caps, a window in every other
/// layer.
DecoderConfig parse_gemma2(const JsonFields& config);

} // namespace errata
