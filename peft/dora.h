#pragma once

#include "peft/attachment.h"
#include "peft/lora.h"

#include <cstdint>
#include <mutex>
#include <utility>

namespace errata::peft {

/// DoRA (2402.09353, equations 5 and 11): `W' = m / ||V|| * V` row by row with V = W + scale * B A,
/// the norms over the inputs of each output and without a gradient; the bias is not rescaled. The
/// magnitude m [out] starts at ||W||, so that nothing changes yet. A table is the linear layer
/// whose inputs are tokens as unit vectors; it has no dropout, as in PEFT.
class DoraAttachment final : public BoundAttachment {
 public:
  DoraAttachment(Adaptable module, LowRank factors, double scale, double dropout, Start start);

  NamedTensors named_tensors() const override;
  bool reentrant() const override { return dropout_ == 0; }
  bool additive() const override { return false; }

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;

 private:
  /// [out, in], float32.
  torch::Tensor base_matrix() const;
  /// ||V|| of each row [out], float32, without a gradient.
  torch::Tensor norms();

  bool table_;
  LowRank factors_;
  torch::Tensor magnitude_;
  double scale_;
  double dropout_;
  std::mutex keeping_;           ///< of what follows: passes of several threads share it
  torch::Tensor weight_squares_; ///< ||W||^2 of each row, computed once
  /// The norms of the last pass without gradients, and of which values they are.
  torch::Tensor kept_norms_;
  std::pair<std::int64_t, std::int64_t> kept_versions_;
};

} // namespace errata::peft
