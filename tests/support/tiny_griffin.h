#pragma once

#include "core/base/json.h"
#include "core/decoder_config.h"
#include "core/model_config.h"

namespace errata::testing_support {

/// RecurrentGemma in small: two recurrent layers and one of attention.
inline DecoderConfig tiny_griffin() {
  return parse_decoder_config(
      Json::parse(R"({
    "model_type": "recurrent_gemma", "attention_bias": false, "attention_window_size": 3,
    "block_types": ["recurrent", "recurrent", "attention"], "conv1d_width": 4, "head_dim": 4,
    "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 8, "intermediate_size": 20,
    "logits_soft_cap": 30.0, "lru_width": 12, "num_attention_heads": 2, "num_hidden_layers": 3,
    "num_key_value_heads": 1, "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-06,
    "rope_theta": 10000.0, "vocab_size": 19})"),
      "config.json");
}

} // namespace errata::testing_support
