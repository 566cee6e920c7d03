#pragma once

#include "core/optimizer.h"
#include "core/train_options.h"
#include "peft/adapter.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace errata::editing {

/// Everything that `edit-batch` can say about how edits are trained into a model. The defaults are
/// those of `lora`; `default_options` knows the others.
struct EditorOptions {
  std::string method = "lora";

  // What is trained.
  std::vector<std::string> target_modules; ///< as PEFT selects them; empty: every linear layer
  std::string layers;                      ///< "2-3,-1"; empty: all, or the method's own choice
  /// Biases trained beside an adapter, as PEFT calls them: none, all, or the targets' (lora_only).
  std::string bias = "none";
  std::vector<std::string> modules_to_save; ///< of which whole copies are trained, as in PEFT
  std::int64_t rank = 64;
  double alpha = 0; ///< 0: twice the rank
  bool rslora = false;
  double dropout = 0;
  /// How a LoRA starts: default, gaussian, pissa, olora or eva.
  std::string init = "default";
  /// EVA: no module gets more than this many times `rank`; 1: every module gets `rank`.
  double eva_rho = 2;
  std::int64_t virtual_tokens = 20;     ///< of prompts and prefixes
  std::string p_tuning_encoder = "mlp"; ///< what p-tuning trains its vectors through: mlp or lstm
  /// LoRA+ (2402.12354): the rate of B (and of vectors) is this times that of A.
  double lora_plus = 1;
  /// Weight editors: rank to which the difference is cut for the adapter; 0: exact.
  std::int64_t delta_rank = 0;

  // How.
  std::int64_t steps = 1200; ///< exactly one of steps and epochs is positive
  std::int64_t epochs = 0;
  std::int64_t batch_tokens = 4096;
  std::int64_t batch_size = 0; ///< examples a step, instead of tokens; with epochs
  std::int64_t micro_tokens = 4096;
  OptimizerKind optimizer = OptimizerKind::kMuon;
  double lr = 6.5e-3;
  double weight_decay = 0;
  std::int64_t warmup = 20;
  Schedule schedule = Schedule::kLinear;
  double grad_clip = 1.0;
  double early_stop = 0;
  LossMean loss_mean = LossMean::kTokens;
  std::uint64_t seed = 0;

  // Of editors that solve for weights: see LocateEditor.
  std::int64_t edit_wordings = 1; ///< questions of each fact that are edits of their own
  std::int64_t contexts = 0;      ///< texts before each prompt
  double clamp = 0;               ///< largest change of a value, as a share of its size
  double moment_weight = 15'000;  ///< memit: lambda, of the second moment of what must stay
  double null_threshold = 2e-2;   ///< alphaedit: second moments below it are the null space
  double ridge = 10;              ///< alphaedit: L2

  // Locality terms.
  double anchor = 0.003;    ///< share of the way back to the base at each step
  double null_space = 0.03; ///< softness of the projection; 0: off, or see `null_space_acts`
  double kl = 0;            ///< weight of KL to the base on rehearsal

  // Not part of what is learnt.
  CheckpointOptions checkpoint;
  /// What a resumed run must share besides these options: hashes of model and data.
  std::map<std::string, std::string> context;
};

/// The recipe of `method`; an unknown one is `kInvalidArgument` and lists the known ones.
EditorOptions default_options(const std::string& method);

/// True where the projection away from frequent inputs can do what it promises: in an A that starts
/// at random (`lora`, `dora`, `adalora`, with the default `init`) and in the weights themselves.
/// Elsewhere `null_space` must be 0.
bool null_space_acts(const EditorOptions& options);

/// True of methods that solve for weights.
bool solves(const EditorOptions& options);

/// `bias` as adapters have it; a word that the method does not know is `kInvalidArgument`.
peft::TrainedBias trained_bias(const EditorOptions& options);

/// Throws `kInvalidArgument` that names the option out of range as the command line calls it.
void validate(const EditorOptions& options);

/// All options that matter for what is learnt, by the names of the command line, for run.json.
nlohmann::ordered_json to_json(const EditorOptions& options);

/// The options of the training loop.
TrainOptions train_options(const EditorOptions& options);
OptimizerOptions optimizer_options(const EditorOptions& options, torch::Dtype compute_dtype);

} // namespace errata::editing
