#pragma once

#include <cstdint>
#include <string>

namespace errata {

/// The output head's name in every checkpoint, beside the root.
inline constexpr const char* kHeadName = "lm_head";

/// Where a family's checkpoint keeps its parts. Empty: the family has no such part.
struct ModuleNames {
  std::string root = {};        ///< of everything but the output head
  std::string embedding = {};   ///< below the root
  std::string positions = {};   ///< table of learned positions
  std::string layers = {};      ///< below the root
  std::string final_norm = {};  ///< below the root
  std::string first_norm = {};  ///< before the attention; below a layer, as all that follow
  std::string second_norm = {}; ///< before the MLP, where there are no sandwich norms
  std::string attention = {};
  std::string q = {}; ///< below the attention
  std::string k = {};
  std::string v = {};
  std::string qkv = {}; ///< one matrix for q, k and v, instead of the three
  std::string out = {};
  std::string mlp = {};
  std::string gate = {}; ///< below the MLP; empty: not gated
  std::string up = {};
  std::string down = {};

  std::string layer(std::int64_t index) const {
    return root + "." + layers + "." + std::to_string(index);
  }
};

/// Llama's, which Gemma, Mistral and Qwen share.
inline const ModuleNames kLlamaNames = {
    .root = "model",
    .embedding = "embed_tokens",
    .layers = "layers",
    .final_norm = "norm",
    .first_norm = "input_layernorm",
    .second_norm = "post_attention_layernorm",
    .attention = "self_attn",
    .q = "q_proj",
    .k = "k_proj",
    .v = "v_proj",
    .out = "o_proj",
    .mlp = "mlp",
    .gate = "gate_proj",
    .up = "up_proj",
    .down = "down_proj"};

/// RecurrentGemma's; recurrent blocks stand under the name of the attention.
inline const ModuleNames kGriffinNames = {
    .root = "model",
    .embedding = "embed_tokens",
    .layers = "layers",
    .final_norm = "final_norm",
    .first_norm = "temporal_pre_norm",
    .second_norm = "channel_pre_norm",
    .attention = "temporal_block",
    .q = "q_proj",
    .k = "k_proj",
    .v = "v_proj",
    .out = "o_proj",
    .mlp = "mlp_block",
    .gate = "gate_proj",
    .up = "up_proj",
    .down = "down_proj"};

inline const ModuleNames kGpt2Names = {
    .root = "transformer",
    .embedding = "wte",
    .positions = "wpe",
    .layers = "h",
    .final_norm = "ln_f",
    .first_norm = "ln_1",
    .second_norm = "ln_2",
    .attention = "attn",
    .qkv = "c_attn",
    .out = "c_proj",
    .mlp = "mlp",
    .up = "c_fc",
    .down = "c_proj"};

inline const ModuleNames kGptJNames = {
    .root = "transformer",
    .embedding = "wte",
    .layers = "h",
    .final_norm = "ln_f",
    .first_norm = "ln_1",
    .attention = "attn",
    .q = "q_proj",
    .k = "k_proj",
    .v = "v_proj",
    .out = "out_proj",
    .mlp = "mlp",
    .up = "fc_in",
    .down = "fc_out"};

} // namespace errata
