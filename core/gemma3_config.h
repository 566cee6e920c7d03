#pragma once

// Gemma 3 text models (2503.19786) and the text part of the multimodal ones; file fields as in
// transformers models/gemma3/configuration_gemma3.py. For model_config.cpp only.

#include "core/base/json.h"
#include "core/decoder_config.h"

#include <string>

namespace errata {

/// `model_type` "gemma3_text".
DecoderConfig parse_gemma3_text(const JsonFields& config);

/// `model_type` "gemma3": its `text_config`.
DecoderConfig parse_gemma3(const JsonFields& config);

/// The fields of config.json that describe the decoder, without dtype and special ids.
OrderedJson gemma3_text_json(const DecoderConfig& config);

} // namespace errata
