#pragma once

#include "core/decoder_config.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace errata::peft {

/// What llama.cpp calls a family, its linear layers, embedding and head (docs/formats/gguf.md).
class GgufNames {
 public:
  /// A family for which llama.cpp has no architecture is `kUnsupported`, with the way out.
  explicit GgufNames(const DecoderConfig& config);

  /// `general.architecture`.
  const std::string& architecture() const noexcept { return architecture_; }
  /// "blk.3.attn_q.weight" of "model.layers.3.self_attn.q_proj"; `kUnsupported` without a name, and
  /// for embedding and head where the one is tied to the other.
  std::string weight(const std::string& module) const;
  /// The other way round; nothing for a weight that has no LoRA in this model.
  std::optional<std::string> module(const std::string& weight) const;
  /// Whether a module is a table, whose pair llama.cpp keeps with A transposed: it takes rows of
  /// it.
  bool is_table(const std::string& module) const { return module == tables_.front().first; }
  /// Heads whose rows llama.cpp keeps as neighbouring pairs where HF has two halves: those of the
  /// queries and keys of `llama`. 0: the rows are HF's.
  std::int64_t interleaved_heads(const std::string& module) const;

 private:
  const DecoderConfig& config_;
  std::string architecture_;
  /// Module path below a layer ("self_attn.q_proj"), and llama.cpp's name ("attn_q").
  std::vector<std::pair<std::string, std::string_view>> parts_;
  /// Whole module paths outside the layers.
  std::vector<std::pair<std::string, std::string_view>> tables_;
};

} // namespace errata::peft
