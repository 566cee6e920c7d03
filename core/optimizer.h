#pragma once

#include "core/flat_parameters.h"
#include "core/torch.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace errata {

enum class OptimizerKind { kAdamW, kSgd, kMuon };

std::string_view to_string(OptimizerKind kind) noexcept;
/// "adamw", "sgd" or "muon"; anything else is `kInvalidArgument`.
OptimizerKind parse_optimizer(std::string_view text);

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double lr = 1e-3;
  /// Decoupled (w -= lr * weight_decay * w) except for SGD, where it is added to the gradient.
  double weight_decay = 0.0;
  double beta1 = 0.9;     ///< AdamW
  double beta2 = 0.999;   ///< AdamW
  double eps = 1e-8;      ///< AdamW
  double momentum = 0.95; ///< Muon (with Nesterov's look-ahead) and SGD
  /// Muon: the dtype of the Newton-Schulz iteration; bfloat16 where the machine has it.
  torch::Dtype iteration_dtype = torch::kFloat32;
};

/// Tensors that share the options of one optimizer.
struct ParameterGroup {
  std::vector<NamedTensor> parameters;
  OptimizerOptions options;
};

/// For training a whole model: hidden matrices under `matrices` (Muon), embeddings, output head,
/// norms and biases under `others` (AdamW).
std::vector<ParameterGroup> split_parameters(
    const std::vector<NamedTensor>& parameters,
    const OptimizerOptions& matrices,
    const OptimizerOptions& others);

/// Updates one group of a `FlatParameters` from its gradients.
class OptimizerRule {
 public:
  virtual ~OptimizerRule() = default;
  virtual void step(double lr) = 0;
  /// Everything that a step reads besides values and gradients, to be saved and filled in place.
  virtual std::vector<NamedTensor> state() = 0;
};

/// The optimizers of all groups. Semantics are those of torch.optim's AdamW, SGD and Muon
/// (`adjust_lr_fn="match_rms_adamw"`).
class Optimizer {
 public:
  /// `options` has one entry a group of `parameters`, which must outlive this object. Muon takes
  /// matrices only (`kInvalidArgument`).
  Optimizer(FlatParameters& parameters, const std::vector<OptimizerOptions>& options);

  /// One step with each group's rate times `lr_factor`.
  void step(double lr_factor);
  /// Names are stable: `group0.exp_avg`.
  std::vector<NamedTensor> state();

 private:
  std::vector<double> rates_;
  std::vector<std::unique_ptr<OptimizerRule>> rules_;
};

} // namespace errata
