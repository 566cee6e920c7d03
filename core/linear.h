#pragma once

#include "core/torch.h"

#include <memory>
#include <vector>

namespace errata {

/// Attachment place 1 of 4 (architecture.md): what an adapter does to a linear layer. `core` owns
/// the interface, `peft` implements it.
class LinearAttachment {
 public:
  virtual ~LinearAttachment() = default;

  /// What the layer is to take instead of its input `x` [..., in].
  virtual torch::Tensor prepare(const torch::Tensor& x) { return x; }

  /// The adapted output. `x` is the layer's prepared input [..., in], `y` the output so far [...,
  /// out]. May change `y` in place only when gradients are off.
  virtual torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& y) = 0;
};

/// `y = x W^T + b`, between what every attachment does to input and output, in order. The weight is
/// cast to the dtype of `x` when it differs (float32 masters, bfloat16 compute).
class LinearImpl : public torch::nn::Module {
 public:
  /// Weights are left uninitialised.
  LinearImpl(
      std::int64_t in_features,
      std::int64_t out_features,
      bool with_bias,
      torch::TensorOptions options = {},
      bool transposed = false);

  torch::Tensor forward(const torch::Tensor& x);

  /// Shared, because an adapter also keeps the pieces it attached.
  void attach(std::shared_ptr<LinearAttachment> attachment);
  void detach(const LinearAttachment* attachment);
  const std::vector<std::shared_ptr<LinearAttachment>>& attachments() const { return attachments_; }

  torch::Tensor weight; ///< [out, in]
  torch::Tensor bias;   ///< [out], undefined when there is none
  /// Files have the weight as [in, out]; in memory it is [out, in] all the same, perhaps as a view.
  const bool transposed_in_files;

 private:
  std::vector<std::shared_ptr<LinearAttachment>> attachments_;
};
TORCH_MODULE(Linear);

} // namespace errata
