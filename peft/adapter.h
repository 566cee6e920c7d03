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
  /// A module matches when its path equals an entry or ends in "." + entry. Empty, and no
  /// `target_regex`: the family's default (q_proj and v_proj).
  std::vector<std::string> target_modules;
  /// Instead of the list: a regular expression that must match the whole path, or "all-linear".
  std::optional<std::string> target_regex;
  std::vector<std::string> exclude_modules;
  /// Instead of the list: modules whose whole path it matches are left out.
  std::optional<std::string> exclude_regex;
  std::vector<std::int64_t> layers_to_transform; ///< empty: all layers
  std::vector<std::string> layers_pattern;       ///< names before the index: "layers"
  /// Rank and alpha of the modules whose path ends in a match of the key; the first key that does
  /// counts, so the order of the file is kept.
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::string base_model_name_or_path;
  /// The base keeps its weights as [in, out] (GPT-2). Only told to PEFT: adapters do not differ.
  bool fan_in_fan_out = false;
};

/// Parses "2-3,-1": layer indices and ranges, negative ones from the end. Sorted, unique.
/// `kInvalidArgument` for a bad form or an index out of range.
std::vector<std::int64_t> parse_layers(const std::string& text, std::int64_t num_layers);

/// Paths of the linears that the config selects, by PEFT's rules (docs/formats/adapter.md), in
/// model order. A target that matches nothing, a layer out of range and an expression together with
/// `layers_to_transform` are `kInvalidArgument`; the first lists near names. "all-linear" does go
/// with layers, which PEFT does not allow.
std::vector<std::string> match_targets(const Decoder& model, const AdapterConfig& config);

/// Rank and scale s (alpha/r, or alpha/sqrt(r) for rsLoRA) of one module after the patterns.
std::int64_t module_rank(const AdapterConfig& config, const std::string& module);
double module_scale(const AdapterConfig& config, const std::string& module);

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
  /// Factor of this adapter's change among several; 1 at first, not saved.
  virtual void set_weight(double weight) = 0;

  /// Adds the adapter to the base weights (in float32, cast once) and stops applying it; `unmerge`
  /// restores the base bit for bit from kept copies. Several adapters may be merged at once and
  /// unmerged in any order. A merged weight does not follow later changes of the parameters.
  virtual void merge() = 0;
  virtual void unmerge() = 0;
  virtual bool merged() const = 0;

  /// The change of the weight of `module` [out, in], float32, times the adapter's weight. A module
  /// that the adapter does not touch is `kNotFound`.
  virtual torch::Tensor delta(const std::string& module) const = 0;
  /// First layer that the adapter touches: what lies below can be computed once.
  virtual std::int64_t first_layer() const = 0;
};

/// Attaches a fresh LoRA or rsLoRA (2106.09685, 2312.03732): A ~ U(-1/sqrt(in), 1/sqrt(in)), B = 0,
/// so the model's outputs do not change yet. A is drawn from a generator seeded with `seed`.
/// Dropout acts on the adapter's input while gradients are on and the parameters are trained.
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

/// Reads and attaches an adapter: a directory of PEFT (LORA), errata (DELTA) or mlx-lm, or a GGUF
/// file or a directory with nothing but one. Missing, unknown or
/// mis-shaped tensors and half pairs are `kCorrupt`; another peft_type or a key that changes the
/// meaning is `kUnsupported`.
std::unique_ptr<Adapter> load_adapter(Decoder& model, const std::filesystem::path& directory);

} // namespace errata::peft
