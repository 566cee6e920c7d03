#include "core/griffin_config.h"

#include "core/base/error.h"
#include "core/config_fields.h"

#include <bit>
#include <cmath>
#include <string>
#include <vector>

namespace errata {
namespace {

// To the nearest bfloat16, which is what the family multiplies embeddings by in every dtype.
double as_bfloat16(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  const std::uint32_t nearest = (bits + 0x7fffU + ((bits >> 16U) & 1U)) & 0xffff0000U;
  return std::bit_cast<float>(nearest);
}

// Which of `count` layers are recurrent: `block_types` over and over.
std::vector<bool> parse_blocks(const JsonFields& config, std::size_t count) {
  std::vector<std::string> pattern = {"recurrent", "recurrent", "attention"};
  if (!config.is_null("block_types")) {
    const Json& list = *config.find("block_types");
    ERRATA_CHECK(
        list.is_array() && !list.empty(),
        ErrorCode::kCorrupt,
        config.where(),
        ": 'block_types' must be a list of recurrent and attention");
    pattern.clear();
    for (const Json& kind : list) {
      ERRATA_CHECK(
          kind == "recurrent" || kind == "attention",
          ErrorCode::kUnsupported,
          config.where(),
          ": block type ",
          kind.dump(-1, ' ', false, Json::error_handler_t::replace),
          " is not supported; supported: recurrent, attention");
      pattern.push_back(kind.get<std::string>());
    }
  }
  std::vector<bool> recurrent;
  for (std::size_t i = 0; i < count; ++i) {
    recurrent.push_back(pattern[i % pattern.size()] == "recurrent");
  }
  return recurrent;
}

// A part of each head turns; transformers 4 has the fields beside the others.
RopeConfig parse_griffin_rope(const JsonFields& config, std::int64_t head_dim) {
  constexpr double kBase = 10'000;
  constexpr double kPart = 0.5;
  RopeConfig rope;
  rope.base = positive_number(config, "rope_theta", kBase);
  double part = positive_number(config, "partial_rotary_factor", kPart);
  if (!config.is_null("rope_parameters")) {
    const JsonFields fields(*config.find("rope_parameters"), config.where() + ": rope_parameters");
    rope.base = positive_number(fields, "rope_theta", rope.base);
    part = positive_number(fields, "partial_rotary_factor", part);
    const auto type = fields.optional<std::string>("rope_type", "default");
    ERRATA_CHECK(
        type == "default",
        ErrorCode::kUnsupported,
        fields.where(),
        ": rope_type '",
        type,
        "' is not supported for RecurrentGemma; supported: default");
  }
  rope.rotary_dim = static_cast<std::int64_t>(part * static_cast<double>(head_dim));
  ERRATA_CHECK(
      rope.rotary_dim >= 2 && rope.rotary_dim <= head_dim && rope.rotary_dim % 2 == 0,
      ErrorCode::kCorrupt,
      config.where(),
      ": 'partial_rotary_factor' ",
      part,
      " turns ",
      rope.rotary_dim,
      " of ",
      head_dim,
      " dimensions; expected an even number");
  return rope;
}

} // namespace

DecoderConfig parse_recurrent_gemma(const JsonFields& config) {
  constexpr std::int64_t kVocabulary = 256'000;
  constexpr std::int64_t kHeads = 10;
  constexpr std::int64_t kWindow = 2048;
  constexpr std::int64_t kConvolution = 4;
  constexpr double kSoftCap = 30;
  refuse_set(config, {"quantization_config"});
  DecoderConfig result;
  result.model_type = "recurrent_gemma";
  result.names = kGriffinNames;
  result.vocab_size = optional_size(config, "vocab_size", kVocabulary);
  result.hidden_size = required_size(config, "hidden_size");
  // The file has the width of both halves.
  result.intermediate_size = required_size(config, "intermediate_size") / 2;
  HeadDefaults heads;
  heads.heads = kHeads;
  parse_heads(config, heads, result);
  result.max_positions = kWindow; // no limit of its own
  result.norm_eps = positive_number(config, "rms_norm_eps", 1e-6);
  result.query_scale = 1.0 / std::sqrt(static_cast<double>(result.head_dim));
  result.scales_prompts = true;
  result.embedding_scale = as_bfloat16(std::sqrt(static_cast<double>(result.hidden_size)));
  result.norm_adds_one = true;
  result.attention_bias = config.optional<bool>("attention_bias", false);
  result.output_bias = true;
  result.mlp_bias = true;
  result.tie_word_embeddings = config.optional<bool>("tie_word_embeddings", true);
  result.activation = parse_activation(config, "gelu_pytorch_tanh", true);
  result.final_logit_softcap = positive_number(config, "logits_soft_cap", kSoftCap);
  result.lru_width = optional_size(config, "lru_width", result.hidden_size, kLargestSize);
  result.conv_width = optional_size(config, "conv1d_width", kConvolution, kLargestOfHeads);
  ERRATA_CHECK(
      result.lru_width % result.num_heads == 0,
      ErrorCode::kCorrupt,
      config.where(),
      ": 'lru_width' ",
      result.lru_width,
      " is not a multiple of 'num_attention_heads' ",
      result.num_heads);
  const char* window =
      config.is_null("attention_window_size") ? "sliding_window" : "attention_window_size";
  const auto count =
      static_cast<std::size_t>(required_size(config, "num_hidden_layers", kMostLayers));
  const RopeConfig rope = parse_griffin_rope(config, result.head_dim);
  for (const bool recurrent : parse_blocks(config, count)) {
    result.layers.push_back({optional_size(config, window, kWindow), rope, recurrent});
  }
  return result;
}

} // namespace errata
