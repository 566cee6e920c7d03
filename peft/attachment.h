#pragma once

#include "core/linear.h"
#include "core/torch.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace errata::peft {

/// The base weight of a linear into which adapters are merged; shared by all of them.
struct KeptWeight {
  torch::Tensor value; ///< the very tensor that was there, so that it comes back bit for bit
};

/// What one adapter does to one linear. On/off, factor and merging are the same for every kind;
/// kinds differ in `branch`, `change` and their tensors.
class Attachment : public LinearAttachment {
 public:
  torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& y) final;

  /// Tensors with their names below the module's path ("lora_A.weight").
  virtual std::vector<std::pair<std::string, torch::Tensor>> named_tensors() const = 0;
  /// The change of the weight [out, in], float32, times `weight`.
  torch::Tensor delta() const { return weight == 1.0 ? change() : change().mul_(weight); }

  bool enabled = true;
  double weight = 1.0;
  std::shared_ptr<KeptWeight> kept; ///< set while merged

 protected:
  /// `y` plus the adapter's output for `x`, by the rules of `LinearAttachment::apply`.
  virtual torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) = 0;
  /// A fresh tensor [out, in], float32.
  virtual torch::Tensor change() const = 0;
};

/// `y + weight * scale * (x A^T) B^T`: LoRA and rsLoRA, which differ in `scale` only.
class LoraAttachment final : public Attachment {
 public:
  LoraAttachment(torch::Tensor a, torch::Tensor b, double scale, double dropout);

  std::vector<std::pair<std::string, torch::Tensor>> named_tensors() const override;

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;

 private:
  torch::Tensor a_; ///< [r, in]
  torch::Tensor b_; ///< [out, r]
  double scale_;
  double dropout_;
};

/// `y + weight * x D^T` with a fixed difference D [out, in].
class DeltaAttachment final : public Attachment {
 public:
  explicit DeltaAttachment(torch::Tensor delta);

  std::vector<std::pair<std::string, torch::Tensor>> named_tensors() const override;

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;

 private:
  torch::Tensor delta_;
  torch::Tensor cast_; ///< in the activations' dtype, made at first use
};

/// The base weight that the attachments merged into `linear` keep; null when none is merged.
std::shared_ptr<KeptWeight> kept_weight(const LinearImpl& linear);

/// Sets the linear's weight to `kept` plus all enabled merged attachments, in float32 and cast
/// once; to the kept tensor itself when there is none. The parameter gets a fresh tensor: the base
/// may be a read-only mapping.
void rewrite_merged_weight(LinearImpl& linear, const KeptWeight& kept);

} // namespace errata::peft
