#pragma once

#include "core/adaptable.h"
#include "core/linear.h"
#include "core/torch.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace errata::peft {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

/// What one adapter does to one module. On/off, factor and merging are the same for every kind;
/// kinds differ in what they do to input and output, in the change of the weight and in their
/// tensors.
class Attachment : public ModuleAttachment {
 public:
  torch::Tensor prepare(const torch::Tensor& x) final;
  torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& y) final;
  const ModuleParameters* in_place() const final;

  /// Trainable tensors with their names below the module's path ("lora_A.weight").
  virtual NamedTensors named_tensors() const = 0;
  /// What a file holds.
  virtual NamedTensors file_tensors() const { return named_tensors(); }
  /// False when the change depends on what else the module computes.
  virtual bool additive() const { return true; }
  /// False when it changes the bias alone.
  virtual bool changes_weight() const { return true; }

  /// The change of the weight, in its shape, and of the bias, float32, times `weight`; undefined
  /// where that does not change.
  torch::Tensor delta() const;
  torch::Tensor bias_delta() const;

  bool enabled = true;
  double weight = 1.0;
  /// The base of the module, set while merged and shared by all that are: the very tensors that
  /// were there, so that they come back bit for bit.
  std::shared_ptr<const ModuleParameters> kept;
  /// Rows [n] of what comes that the adapter is for, int64; undefined: all.
  torch::Tensor rows;

 protected:
  /// False when `input` gives back what it gets.
  virtual bool changes_input() const { return false; }
  /// What the module is to see instead of `x`.
  virtual torch::Tensor input(const torch::Tensor& x) { return x; }
  /// `y` plus the adapter's output for `x`, by the rules of `ModuleAttachment::apply`.
  virtual torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) = 0;
  /// A fresh tensor in the weight's shape, float32; undefined without `changes_weight`.
  virtual torch::Tensor change() const = 0;
  virtual torch::Tensor bias_change() const { return {}; }
  /// Parameters with which the module computes what `branch` makes of its output; null: none.
  virtual const ModuleParameters* whole() const { return nullptr; }

 private:
  bool active() const {
    const bool here = !rows.defined() || rows.size(0) > 0;
    return enabled && here && kept == nullptr && weight != 0.0;
  }
};

/// An attachment that looks at the parameters which it adapts.
class BoundAttachment : public Attachment {
 public:
  explicit BoundAttachment(Adaptable module) : module_(std::move(module)) {}

 protected:
  const AdaptableImpl& module() const { return *module_; }
  ModuleParameters base() const { return kept ? *kept : module_->own(); }

 private:
  Adaptable module_;
};

/// `y + weight * x D^T` with a fixed difference D [out, in].
class DeltaAttachment final : public Attachment {
 public:
  explicit DeltaAttachment(torch::Tensor delta);

  NamedTensors named_tensors() const override;

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;

 private:
  torch::Tensor delta_;
  torch::Tensor cast_; ///< in the activations' dtype, made at first use
};

/// The base that the attachments merged into `module` keep; null when none is merged.
std::shared_ptr<const ModuleParameters> kept_parameters(const AdaptableImpl& module);

/// Gives the module what is `kept` plus all enabled merged attachments, in float32 and cast once,
/// in fresh tensors: the base may be a read-only mapping, or another module's too. Where nothing
/// changes it gets the kept tensors themselves.
void rewrite_merged(AdaptableImpl& module, const ModuleParameters& kept);

} // namespace errata::peft
