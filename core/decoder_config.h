#pragma once

#include "core/module_names.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace errata {

enum class Activation { kGeluTanh, kSilu };

enum class NormKind { kRms, kLayer };

/// `rope_type` "llama3": only wavelengths above original_positions / high_freq_factor are divided,
/// smoothly up to original_positions / low_freq_factor (Llama 3.1, 2407.21783).
struct Llama3Rope {
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  std::int64_t original_positions = 8192; ///< original_max_position_embeddings

  friend bool operator==(const Llama3Rope&, const Llama3Rope&) = default;
};

/// `rope_type` "yarn" (2309.00071, "NTK-by-parts"): frequencies of less than `beta_slow` turns over
/// the original positions are divided, those of more than `beta_fast` are not, a ramp in between.
struct YarnRope {
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  bool truncate = true; ///< the ramp's ends to whole dimensions
  std::int64_t original_positions = 0;
  double attention_factor = 1.0; ///< of cos and sin

  friend bool operator==(const YarnRope&, const YarnRope&) = default;
};

/// `rope_type` "dynamic" (NTK-aware scaling): a sequence of n > original_positions tokens has the
/// base times (factor n / original_positions - (factor - 1))^(h / (h - 2)).
struct DynamicRope {
  std::int64_t original_positions = 0; ///< max_position_embeddings

  friend bool operator==(const DynamicRope&, const DynamicRope&) = default;
};

/// Rotary position embedding of one kind of layer: theta_j = base^(-2j/h), divided by `factor`
/// (`rope_type` "linear"; 1 for the plain form), or as `llama3`, `yarn` or `dynamic` say.
struct RopeConfig {
  double base = 10000.0;
  double factor = 1.0;
  std::optional<Llama3Rope> llama3 = std::nullopt;
  std::optional<YarnRope> yarn = std::nullopt;
  std::optional<DynamicRope> dynamic = std::nullopt;
  std::int64_t rotary_dim = 0; ///< dimensions of a head that turn, the first ones; 0: all
  bool interleaved = false;    ///< pairs are neighbours (GPT-J) instead of the two halves

  friend bool operator==(const RopeConfig&, const RopeConfig&) = default;
};

/// What may differ from layer to layer.
struct LayerConfig {
  /// Keys a query sees, itself included (`i - j < window`); 0 for all (a global layer).
  std::int64_t window = 0;
  RopeConfig rope;
  bool recurrent = false; ///< a recurrent block in place of attention (Griffin)
};

/// A decoder as data: a family is a function from its config.json to this struct, and no layer asks
/// for the family again. Names in comments are config.json's.
struct DecoderConfig {
  std::string model_type;
  ModuleNames names = kLlamaNames;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_heads = 0;    ///< num_attention_heads
  std::int64_t num_kv_heads = 0; ///< num_key_value_heads
  std::int64_t head_dim = 0;
  std::int64_t max_positions = 0; ///< max_position_embeddings
  double norm_eps = 1e-6;         ///< rms_norm_eps, layer_norm_epsilon
  NormKind norm = NormKind::kRms;
  double query_scale = 1.0; ///< query_pre_attn_scalar^-1/2
  /// Also what stands in front instead of token vectors is scaled (RecurrentGemma).
  bool scales_prompts = false;
  double embedding_scale = 1.0; ///< sqrt(hidden_size), rounded to the activation dtype in use
  bool norm_adds_one = false;   ///< Gemma: x * (1 + w)
  bool sandwich_norms = false;  ///< norms after attention and MLP, before the residual
  bool qk_norm = false;         ///< RMSNorm over head_dim on queries and keys, before RoPE
  bool attention_bias = false;  ///< on q, k and v
  bool output_bias = false;     ///< on o_proj
  bool mlp_bias = false;
  bool head_bias = false;      ///< on lm_head
  bool parallel_block = false; ///< x + attention(norm(x)) + mlp(norm(x)), one norm (GPT-J)
  /// Files keep the matrices of the layers as [in, out] (GPT-2's Conv1D).
  bool transposed_files = false;
  bool tie_word_embeddings = false;
  Activation activation = Activation::kGeluTanh;
  std::int64_t lru_width = 0;              ///< of recurrent blocks
  std::int64_t conv_width = 0;             ///< conv1d_width
  std::optional<double> attention_softcap; ///< attn_logit_softcapping
  std::optional<double> final_logit_softcap;
  std::vector<LayerConfig> layers; ///< one entry a layer

  std::int64_t num_layers() const { return static_cast<std::int64_t>(layers.size()); }
};

} // namespace errata
