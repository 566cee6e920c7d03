#pragma once

#include "core/torch.h"

#include <memory>
#include <vector>

namespace errata {

/// What a module multiplies and adds.
struct ModuleParameters {
  torch::Tensor weight;
  torch::Tensor bias; ///< undefined when there is none
};

/// Attachment place 1 of 4 (architecture.md): what an adapter does to a module with a weight.
/// `core` owns the interface, `peft` implements it.
class ModuleAttachment {
 public:
  virtual ~ModuleAttachment() = default;

  /// What the module is to take instead of its input `x`.
  virtual torch::Tensor prepare(const torch::Tensor& x) { return x; }

  /// The adapted output. `x` is the module's prepared input, `y` the output so far. May change `y`
  /// in place only when gradients are off.
  virtual torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& y) = 0;

  /// What the module may compute with in place of its own parameters, for the same result as
  /// `apply` at half the work; null: nothing.
  virtual const ModuleParameters* in_place() const { return nullptr; }

  /// True when passes of several threads may go through it at once: it keeps nothing of a pass and
  /// draws nothing.
  virtual bool reentrant() const { return false; }
};

/// A module that adapters can change: a linear layer, a table of vectors or a norm. Its output is
/// linear in its parameters, so that changes of them add up.
class AdaptableImpl : public torch::nn::Module {
 public:
  /// Of `x` with these parameters, in place of its own, in the activations' dtype.
  virtual torch::Tensor compute(
      const torch::Tensor& x, const ModuleParameters& parameters, torch::Dtype dtype) const = 0;

  /// The module's output between what every attachment does to input and output, in order.
  torch::Tensor adapted(const torch::Tensor& x, torch::Dtype dtype);

  ModuleParameters own() const { return {weight, bias}; }
  /// Puts other tensors in the place of its parameters; those that were there stay as they are,
  /// also for a module that shares them.
  void replace(const ModuleParameters& parameters);

  /// Shared, because an adapter also keeps the pieces it attached.
  void attach(std::shared_ptr<ModuleAttachment> attachment);
  void detach(const ModuleAttachment* attachment);
  const std::vector<std::shared_ptr<ModuleAttachment>>& attachments() const { return attachments_; }

  torch::Tensor weight;
  torch::Tensor bias; ///< undefined when there is none

 protected:
  void own_weight(torch::Tensor value) { weight = register_parameter("weight", std::move(value)); }
  void own_bias(torch::Tensor value) { bias = register_parameter("bias", std::move(value)); }

 private:
  std::vector<std::shared_ptr<ModuleAttachment>> attachments_;
};
using Adaptable = std::shared_ptr<AdaptableImpl>;

} // namespace errata
