#pragma once

#include "core/decoder.h"
#include "core/torch.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace errata::peft {

/// adapter_config.json, in PEFT's terms (docs/formats/adapter.md). `peft_type` "LORA" is PEFT's
/// own; "DELTA" is errata's exact weight difference (`errata_type` on disk).
struct AdapterConfig {
  std::string peft_type = "LORA";
  std::int64_t r = 8;
  double lora_alpha = 8;
  double lora_dropout = 0.0;
  bool use_rslora = false;
  /// A module matches when its path equals an entry or ends in "." + entry.
  std::vector<std::string> target_modules;
  /// Instead of the list: a regular expression that must match the whole path.
  std::optional<std::string> target_regex;
  std::vector<std::string> exclude_modules;
  std::vector<std::int64_t> layers_to_transform; ///< empty: all layers
  std::vector<std::string> layers_pattern;
  std::map<std::string, std::int64_t> rank_pattern;
  std::map<std::string, double> alpha_pattern;
  std::string base_model_name_or_path;
};

/// Parses "2-3,-1": layer indices and ranges, negative ones from the end. Sorted, unique.
/// `kInvalidArgument` for a bad form or an index out of range.
std::vector<std::int64_t> parse_layers(const std::string& text, std::int64_t num_layers);

/// Paths of the linears that the config selects, by PEFT's rules (formats: target selection), in
/// model order. A target that matches nothing is `kInvalidArgument` and lists near names.
std::vector<std::string> match_targets(const Decoder& model, const AdapterConfig& config);

/// An adapter attached to one decoder. With the adapter disabled or destroyed the decoder computes
/// exactly what it did before.
class Adapter {
 public:
  virtual ~Adapter() = default;

  virtual const AdapterConfig& config() const = 0;
  /// Trainable tensors with their names below `base_model.model.`
  /// (`model.layers.3.self_attn.q_proj.lora_A.weight`), float32, in model order.
  virtual std::vector<std::pair<std::string, torch::Tensor>> named_parameters() const = 0;
  /// Paths of the modules it touches, in model order.
  virtual std::vector<std::string> modules() const = 0;

  virtual void set_enabled(bool enabled) = 0;
  virtual bool enabled() const = 0;
  /// Weight of this adapter among several; 1 at first.
  virtual void set_weight(double weight) = 0;

  /// Adds the adapter to the base weights (in float32, cast once) and stops applying it; `unmerge`
  /// restores the base bit for bit from kept copies.
  virtual void merge() = 0;
  virtual void unmerge() = 0;
  virtual bool merged() const = 0;

  /// The change of the weight of `module` [out, in], float32.
  virtual torch::Tensor delta(const std::string& module) const = 0;
  /// First layer that the adapter touches: what lies below can be computed once.
  virtual std::int64_t first_layer() const = 0;
};

/// Attaches a fresh LoRA or rsLoRA (2106.09685, 2312.03732): A ~ U(-1/sqrt(in), 1/sqrt(in)), B = 0,
/// so the model's outputs do not change yet. A is drawn from a generator seeded with `seed`.
std::unique_ptr<Adapter> attach_lora(
    Decoder& model, const AdapterConfig& config, std::uint64_t seed);

/// Attaches fixed differences `[out, in]` (float32) of linear weights: how a weight editor's result
/// travels.
std::unique_ptr<Adapter> attach_delta(
    Decoder& model, const std::vector<std::pair<std::string, torch::Tensor>>& deltas);

/// The best approximation of `deltas` by a LoRA of rank `r` (truncated SVD, float32; alpha = r).
std::unique_ptr<Adapter> attach_truncated_delta(
    Decoder& model,
    const std::vector<std::pair<std::string, torch::Tensor>>& deltas,
    std::int64_t r);

/// Writes adapter_config.json and adapter_model.safetensors; LORA loads in PEFT. `metadata` goes
/// into the safetensors header (`errata.*` keys). Files appear complete or not at all. The written
/// adapter is read back and compared; a difference is `kInternal` and leaves nothing behind.
void save_adapter(
    const Adapter& adapter,
    const std::filesystem::path& directory,
    const std::map<std::string, std::string>& metadata = {});

/// Reads and attaches an adapter directory (PEFT LORA or errata DELTA). Missing, unknown or
/// mis-shaped tensors and half pairs are `kCorrupt`; another peft_type or a key that changes the
/// meaning is `kUnsupported`.
std::unique_ptr<Adapter> load_adapter(Decoder& model, const std::filesystem::path& directory);

} // namespace errata::peft
