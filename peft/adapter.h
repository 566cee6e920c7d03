#pragma once

#include "core/decoder.h"
#include "core/generation.h"
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

/// How a LoRA starts (PEFT's init_lora_weights). With all of them the model computes what it did
/// before, up to rounding.
enum class LoraInit {
  kDefault,  ///< A ~ U(-1/sqrt(in), 1/sqrt(in)), B = 0
  kGaussian, ///< A ~ N(0, 1/r^2), B = 0
  kPissa,    ///< the r largest singular triples of the weight (2404.02948)
  kOlora,    ///< its first r columns of Q and rows of R (2406.01775)
};

/// AdaLoRA's schedule (2303.10512).
struct AdaLoraConfig {
  std::int64_t target_r = 8; ///< mean rank at the end
  std::int64_t init_r = 12;
  std::int64_t tinit = 0;  ///< steps before pruning begins
  std::int64_t tfinal = 0; ///< steps with the final ranks
  std::int64_t delta_t = 1;
  double beta1 = 0.85;
  double beta2 = 0.85;
  double orth_reg_weight = 0.5;
  std::int64_t total_step = 0;
  /// The triples that are left of each module, once the ranks are final.
  std::map<std::string, std::vector<bool>> kept;
};

/// VeRA's shared projections (2310.11454).
struct VeraConfig {
  std::uint64_t projection_prng_key = 0;
  bool save_projection = true;
  double d_initial = 0.1;
};

/// What P-tuning's vectors are trained through (PEFT's encoder_reparameterization_type).
enum class PromptEncoder {
  kMlp,  ///< three layers
  kLstm, ///< a bidirectional LSTM, then two layers
};

/// Prompt tuning (2104.08691), P-tuning (2103.10385) and prefix tuning (2101.00190).
struct PromptConfig {
  std::int64_t num_virtual_tokens = 20;
  /// Where a prompt starts: the vectors of these tokens, over and over; empty: of random ones.
  std::vector<std::int32_t> init_tokens;
  /// Prefix tuning: trained through a perceptron, which is not kept.
  bool prefix_projection = false;
  std::int64_t encoder_hidden_size = 0; ///< of the perceptrons and the LSTM; 0: the model's
  PromptEncoder encoder = PromptEncoder::kMlp;
  std::int64_t encoder_num_layers = 2; ///< of the LSTM
};

/// LLaMA-Adapter (2303.16199): PEFT's ADAPTION_PROMPT.
struct AdaptionConfig {
  std::int64_t adapter_len = 10;
  std::int64_t adapter_layers = 0; ///< the last ones; 0: all
};

/// Bottleneck adapters: errata's BOTTLENECK. The presets are those of adapter-hub: Pfeiffer
/// (2005.00247) as here; Houlsby (1902.00751) after both parts with swish; parallel (2110.04366)
/// from the input of the MLP, a half of its width, times 4.
struct BottleneckConfig {
  bool after_attention = false;
  bool after_mlp = true;
  bool parallel = false;              ///< of the residual stream instead of the part's result
  bool sees_sum = true;               ///< of stream and result together (Pfeiffer)
  std::string non_linearity = "relu"; ///< relu, swish, gelu or gelu_new (by tanh)
  double reduction_factor = 16;       ///< hidden size over bottleneck
  double scaling = 1;
};

/// adapter_config.json, in PEFT's terms (docs/formats/adapter.md). `peft_type` is PEFT's own, or
/// one of errata's own (`errata_type` on disk): "DELTA", an exact weight difference, and
/// "BOTTLENECK". A type uses the fields that
/// its section names and those on the selection of modules.
struct AdapterConfig {
  std::string peft_type = "LORA";
  std::string base_model_name_or_path;

  // Which modules.
  /// A module matches when its path equals an entry or ends in "." + entry. Empty, and no
  /// `target_regex`: the family's default for the type.
  std::vector<std::string> target_modules;
  /// Instead of the list: a regular expression that must match the whole path, or "all-linear".
  std::optional<std::string> target_regex;
  std::vector<std::string> exclude_modules;
  /// Instead of the list: modules whose whole path it matches are left out.
  std::optional<std::string> exclude_regex;
  std::vector<std::int64_t> layers_to_transform; ///< empty: all layers
  std::vector<std::string> layers_pattern;       ///< names before the index: "layers"
  /// The base keeps its weights as [in, out] (GPT-2). Only told to PEFT: adapters do not differ.
  bool fan_in_fan_out = false;

  // LORA; r, lora_alpha and lora_dropout also ADALORA, r and lora_dropout (vera_dropout) also VERA.
  std::int64_t r = 8;
  double lora_alpha = 8;
  double lora_dropout = 0.0;
  bool use_rslora = false;
  bool use_dora = false;
  LoraInit init = LoraInit::kDefault;
  /// Rank and alpha of the modules whose path ends in a match of the key; the first key that does
  /// counts, so the order of the file is kept.
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;

  AdaLoraConfig adalora; // ADALORA
  VeraConfig vera;       // VERA

  // IA3
  /// The targets whose input is scaled; the others' output is. Matched as the targets are. Without
  /// list and expression: the family's default.
  std::optional<std::vector<std::string>> feedforward_modules;
  std::optional<std::string> feedforward_regex;

  PromptConfig prompt;         // PROMPT_TUNING, P_TUNING, PREFIX_TUNING
  AdaptionConfig adaption;     // ADAPTION_PROMPT
  BottleneckConfig bottleneck; // BOTTLENECK
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
  /// What a file holds: as `named_parameters`, or converted to what loads anywhere. Names that do
  /// not begin with a module's path are complete.
  virtual std::vector<std::pair<std::string, torch::Tensor>> file_tensors() const = 0;
  /// The config that belongs to `file_tensors`.
  virtual AdapterConfig file_config() const = 0;
  /// Paths of the modules it touches, in model order.
  virtual std::vector<std::string> modules() const = 0;

  virtual void set_enabled(bool enabled) = 0;
  virtual bool enabled() const = 0;
  /// Factor of this adapter's change among several; 1 at first, not saved.
  virtual void set_weight(double weight) = 0;

  /// Limits the adapter to some rows (int64 [n]) of what linear layers see from now on; undefined:
  /// all. Not for prompts and prefixes (`kUnsupported`), nor while merged.
  virtual void select_rows(const torch::Tensor& rows) = 0;

  /// False for what no weight can hold (prompts, prefixes, bottlenecks): then `merge` and `delta`
  /// are `kUnsupported`, and so is a factor other than 1.
  virtual bool can_merge() const { return true; }

  /// Adds the adapter to the base weights (in float32, cast once) and stops applying it; `unmerge`
  /// restores the base bit for bit from kept copies. Several adapters may be merged at once and
  /// unmerged in any order. A merged weight does not follow later changes of the parameters.
  virtual void merge() = 0;
  virtual void unmerge() = 0;
  virtual bool merged() const = 0;

  /// The change of the weight of `module` [out, in], float32, times the adapter's weight. A module
  /// that the adapter does not touch is `kNotFound`.
  virtual torch::Tensor delta(const std::string& module) const = 0;
  /// The change of its bias [out]; undefined when there is none.
  virtual torch::Tensor bias_delta(const std::string& module) const = 0;
  /// First layer that the adapter touches: what lies below can be computed once.
  virtual std::int64_t first_layer() const = 0;
};

/// Attaches a fresh adapter of the type that `config` names. Prompts and prefixes (PROMPT_TUNING,
/// P_TUNING, PREFIX_TUNING) change the outputs at once; with the other types these stay what they
/// were, up to rounding where the start is computed (DoRA, PiSSA, OLoRA). Random values come from a
/// generator seeded with `seed`, on the CPU, so that the start is the same on every device. Dropout
/// acts on the adapter's input while gradients are on and the parameters are trained. Types whose
/// changes do not add up (DoRA, IA3) must be alone on a module (`kUnsupported`).
std::unique_ptr<Adapter> attach_adapter(
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

/// Lets adapters of one model differ from sequence to sequence of a batch (`Routing`): route k is
/// `adapters[k]` alone, a negative one the base; one without an adapter is `kInvalidArgument`. All
/// adapters must stay enabled, and be on linear layers (`kUnsupported`).
Routing route_adapters(std::vector<Adapter*> adapters, std::vector<std::int64_t> routes);

/// Writes adapter_config.json and adapter_model.safetensors; all but DELTA and BOTTLENECK load in
/// PEFT. `metadata`
/// goes into the safetensors header (`errata.*` keys). Files appear complete or not at all. The
/// written adapter is read back and compared; a difference is `kInternal` and leaves nothing
/// behind.
void save_adapter(
    const Adapter& adapter,
    const std::filesystem::path& directory,
    const std::map<std::string, std::string>& metadata = {});

/// Reads and attaches an adapter: a directory of PEFT (one of its types), errata (DELTA,
/// BOTTLENECK), adapter-hub (a bottleneck adapter) or mlx-lm, or a GGUF file or a directory with
/// nothing but one. Missing, unknown or
/// mis-shaped tensors and half pairs are `kCorrupt`; another peft_type or a key that changes the
/// meaning is `kUnsupported`.
std::unique_ptr<Adapter> load_adapter(Decoder& model, const std::filesystem::path& directory);

} // namespace errata::peft
