#include "core/gpt_config.h"

#include "core/base/error.h"
#include "core/config_fields.h"

#include <cmath>

namespace errata {
namespace {

constexpr double kEps = 1e-5;
constexpr std::int64_t kInnerFactor = 4;

DecoderConfig parse_gpt(const JsonFields& config, std::int64_t vocab, std::int64_t positions) {
  refuse_set(
      config, {"quantization_config", "add_cross_attention", "scale_attn_by_inverse_layer_idx"});
  DecoderConfig result;
  result.vocab_size = optional_size(config, "vocab_size", vocab);
  result.hidden_size = required_size(config, "n_embd");
  result.num_heads = required_size(config, "n_head", kLargestOfHeads);
  ERRATA_CHECK(
      result.hidden_size % result.num_heads == 0,
      ErrorCode::kCorrupt,
      config.where(),
      ": 'n_embd' ",
      result.hidden_size,
      " is not a multiple of 'n_head' ",
      result.num_heads);
  ERRATA_CHECK(
      config.optional<bool>("scale_attn_weights", true),
      ErrorCode::kUnsupported,
      config.where(),
      ": 'scale_attn_weights' false is not supported");
  result.num_kv_heads = result.num_heads;
  result.head_dim = result.hidden_size / result.num_heads;
  result.intermediate_size =
      optional_size(config, "n_inner", kInnerFactor * result.hidden_size, kLargestSize);
  result.max_positions = optional_size(config, "n_positions", positions);
  result.norm = NormKind::kLayer;
  result.norm_eps = positive_number(config, "layer_norm_epsilon", kEps);
  result.query_scale = 1.0 / std::sqrt(static_cast<double>(result.head_dim));
  result.mlp_bias = true;
  const auto activation = config.optional<std::string>("activation_function", "gelu_new");
  ERRATA_CHECK(
      activation == "gelu_new" || activation == "gelu_pytorch_tanh",
      ErrorCode::kUnsupported,
      config.where(),
      ": activation_function '",
      activation,
      "' is not supported; supported: gelu_new, gelu_pytorch_tanh");
  result.activation = Activation::kGeluTanh;
  result.layers.resize(static_cast<std::size_t>(required_size(config, "n_layer", kMostLayers)));
  return result;
}

} // namespace

DecoderConfig parse_gpt2(const JsonFields& config) {
  constexpr std::int64_t kVocabulary = 50'257;
  constexpr std::int64_t kPositions = 1024;
  DecoderConfig result = parse_gpt(config, kVocabulary, kPositions);
  result.model_type = "gpt2";
  result.names = kGpt2Names;
  result.attention_bias = true;
  result.output_bias = true;
  result.transposed_files = true;
  result.tie_word_embeddings = config.optional<bool>("tie_word_embeddings", true);
  return result;
}

DecoderConfig parse_gptj(const JsonFields& config) {
  constexpr std::int64_t kVocabulary = 50'400;
  constexpr std::int64_t kPositions = 2048;
  constexpr std::int64_t kRotary = 64;
  DecoderConfig result = parse_gpt(config, kVocabulary, kPositions);
  result.model_type = "gptj";
  result.names = kGptJNames;
  result.parallel_block = true;
  result.head_bias = true;
  result.tie_word_embeddings = config.optional<bool>("tie_word_embeddings", false);
  RopeConfig rope;
  rope.interleaved = true;
  rope.rotary_dim = config.has("rotary_dim") && config.is_null("rotary_dim")
                        ? result.head_dim
                        : optional_size(config, "rotary_dim", kRotary, kLargestOfHeads);
  ERRATA_CHECK(
      rope.rotary_dim % 2 == 0 && rope.rotary_dim <= result.head_dim,
      ErrorCode::kCorrupt,
      config.where(),
      ": 'rotary_dim' is ",
      rope.rotary_dim,
      "; expected an even number up to the ",
      result.head_dim,
      " dimensions of a head");
  for (LayerConfig& layer : result.layers) {
    layer.rope = rope;
  }
  return result;
}

} // namespace errata
