#pragma once

#include "core/linear.h"
#include "core/torch.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace errata::peft {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

/// The base of a linear into which adapters are merged; shared by all of them.
struct KeptWeight {
  torch::Tensor value; ///< the very tensor that was there, so that it comes back bit for bit
  torch::Tensor bias;  ///< undefined where there is none
};

/// What one adapter does to one linear. On/off, factor and merging are the same for every kind;
/// kinds differ in what they do to input and output, in the change of the weight and in their
/// tensors.
class Attachment : public LinearAttachment {
 public:
  torch::Tensor prepare(const torch::Tensor& x) final;
  torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& y) final;

  /// Trainable tensors with their names below the module's path ("lora_A.weight").
  virtual NamedTensors named_tensors() const = 0;
  /// What a file holds.
  virtual NamedTensors file_tensors() const { return named_tensors(); }
  /// False when the change depends on what else the linear computes.
  virtual bool additive() const { return true; }

  /// The change of the weight [out, in] and of the bias [out] (perhaps undefined), float32, times
  /// `weight`.
  torch::Tensor delta() const;
  torch::Tensor bias_delta() const;

  bool enabled = true;
  double weight = 1.0;
  std::shared_ptr<KeptWeight> kept; ///< set while merged
  /// Rows [n] of what comes that the adapter is for, int64; undefined: all.
  torch::Tensor rows;

 protected:
  /// False when `input` gives back what it gets.
  virtual bool changes_input() const { return false; }
  /// What the linear is to see instead of `x`.
  virtual torch::Tensor input(const torch::Tensor& x) { return x; }
  /// `y` plus the adapter's output for `x`, by the rules of `LinearAttachment::apply`.
  virtual torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) = 0;
  /// A fresh tensor [out, in], float32.
  virtual torch::Tensor change() const = 0;
  virtual torch::Tensor bias_change() const { return {}; }

 private:
  bool active() const {
    const bool here = !rows.defined() || rows.size(0) > 0;
    return enabled && here && kept == nullptr && weight != 0.0;
  }
};

/// An attachment that looks at the weight and bias which it adapts.
class LinearBoundAttachment : public Attachment {
 public:
  explicit LinearBoundAttachment(Linear linear) : linear_(std::move(linear)) {}

  bool additive() const override { return false; }

 protected:
  const torch::Tensor& base_weight() const { return kept ? kept->value : linear_->weight; }
  const torch::Tensor& base_bias() const { return kept ? kept->bias : linear_->bias; }

 private:
  Linear linear_;
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

/// The base that the attachments merged into `linear` keep; null when none is merged.
std::shared_ptr<KeptWeight> kept_weight(const LinearImpl& linear);

/// Sets the linear's weight and bias to `kept` plus all enabled merged attachments, in float32 and
/// cast once; to the kept tensors themselves when there is none. The parameters get fresh tensors:
/// the base may be a read-only mapping.
void rewrite_merged_weight(LinearImpl& linear, const KeptWeight& kept);

} // namespace errata::peft
