#pragma once

#include "core/base/json.h"
#include "core/decoder_config.h"

namespace errata {

/// RecurrentGemma (2404.07839), a Griffin (2402.19427): two recurrent blocks to one of local
/// attention. Fields as in transformers models/recurrent_gemma. For model_config.cpp only.
DecoderConfig parse_recurrent_gemma(const JsonFields& config);

} // namespace errata
