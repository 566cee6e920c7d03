#include "peft/gguf_names.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace errata::peft {
namespace {

struct FamilyName {
  std::string_view model_type;
  std::string_view architecture;
};

constexpr std::array<FamilyName, 8> kArchitectures = {{
    {"llama", "llama"},
    {"mistral", "llama"},
    {"gemma", "gemma"},
    {"gemma2", "gemma2"},
    {"gemma3_text", "gemma3"},
    {"qwen2", "qwen2"},
    {"qwen3", "qwen3"},
    {"gpt2", "gpt2"},
}};

constexpr std::string_view kBlocks = "blk.";
constexpr std::string_view kWeight = ".weight";

// "3" and "self_attn.q_proj" of "model.layers.3.self_attn.q_proj", given "model.layers.".
std::optional<std::pair<std::string, std::string>> split_layer(
    const std::string& path, const std::string& prefix) {
  if (!path.starts_with(prefix)) {
    return std::nullopt;
  }
  const std::size_t dot = path.find('.', prefix.size());
  if (dot == std::string::npos) {
    return std::nullopt;
  }
  const std::string index = path.substr(prefix.size(), dot - prefix.size());
  const bool number =
      !index.empty() &&
      std::all_of(index.begin(), index.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return number ? std::optional(std::pair(index, path.substr(dot + 1))) : std::nullopt;
}

} // namespace

GgufNames::GgufNames(const DecoderConfig& config) : config_(config) {
  const auto family =
      std::find_if(kArchitectures.begin(), kArchitectures.end(), [&](const FamilyName& known) {
        return known.model_type == config.model_type;
      });
  ERRATA_CHECK(
      family != kArchitectures.end(),
      ErrorCode::kUnsupported,
      "llama.cpp has no architecture for model type ",
      config.model_type,
      ", so there is no GGUF adapter of it; use --to peft or --to merged");
  architecture_ = family->architecture;
  const ModuleNames& names = config.names;
  const auto add =
      [&](const std::string& block, const std::string& leaf, std::string_view gguf_name) {
        if (!leaf.empty()) {
          parts_.emplace_back(block + "." + leaf, gguf_name);
        }
      };
  tables_ = {{concat(names.root, ".", names.embedding), "token_embd"}, {kHeadName, "output"}};
  add(names.attention, names.q, "attn_q");
  add(names.attention, names.k, "attn_k");
  add(names.attention, names.v, "attn_v");
  add(names.attention, names.qkv, "attn_qkv");
  add(names.attention, names.out, "attn_output");
  add(names.mlp, names.gate, "ffn_gate");
  add(names.mlp, names.up, "ffn_up");
  add(names.mlp, names.down, "ffn_down");
}

std::string GgufNames::weight(const std::string& module) const {
  for (const auto& [path, gguf_name] : tables_) {
    if (path == module) {
      // Both would go by the name of the one table that a tied model has.
      ERRATA_CHECK(
          !config_.tie_word_embeddings,
          ErrorCode::kUnsupported,
          "llama.cpp has no LoRA of ",
          module,
          " where the output head is tied to the embedding; use --to merged");
      return concat(gguf_name, kWeight);
    }
  }
  const auto path = split_layer(module, concat(config_.names.root, ".", config_.names.layers, "."));
  const auto part = std::find_if(parts_.begin(), parts_.end(), [&](const auto& known) {
    return path && known.first == path->second;
  });
  ERRATA_CHECK(
      part != parts_.end(),
      ErrorCode::kUnsupported,
      "llama.cpp has no LoRA of module ",
      module,
      " in architecture ",
      architecture_,
      "; use --to merged");
  return concat(kBlocks, path->first, ".", part->second, kWeight);
}

std::optional<std::string> GgufNames::module(const std::string& weight) const {
  for (const auto& [path, gguf_name] : tables_) {
    if (weight == concat(gguf_name, kWeight)) {
      return path;
    }
  }
  const auto path = split_layer(weight, std::string(kBlocks));
  if (!path || !path->second.ends_with(kWeight)) {
    return std::nullopt;
  }
  const std::string_view name =
      std::string_view(path->second).substr(0, path->second.size() - kWeight.size());
  for (const auto& [module, gguf_name] : parts_) {
    if (gguf_name == name) {
      return concat(config_.names.root, ".", config_.names.layers, ".", path->first, ".", module);
    }
  }
  return std::nullopt;
}

std::int64_t GgufNames::interleaved_heads(const std::string& module) const {
  if (architecture_ != "llama") {
    return 0;
  }
  if (module.ends_with("." + config_.names.q)) {
    return config_.num_heads;
  }
  return module.ends_with("." + config_.names.k) ? config_.num_kv_heads : 0;
}

} // namespace errata::peft
