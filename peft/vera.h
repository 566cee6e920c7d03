#pragma once

#include "peft/adapter_types.h"
#include "peft/attachment.h"

namespace errata::peft {

/// VeRA (2310.11454): PEFT's VERA.
const AdapterType& vera_type();

/// `y + weight * l_b * (B (l_d * (A x)))` (equation 2): A [r, in] and B [out, r] are frozen parts
/// of a random pair that all modules share; l_d [r] and l_b [out] are trained.
class VeraAttachment final : public Attachment {
 public:
  VeraAttachment(
      torch::Tensor a, torch::Tensor b, torch::Tensor l_d, torch::Tensor l_b, double dropout);

  NamedTensors named_tensors() const override;

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;

 private:
  torch::Tensor a_;
  torch::Tensor b_;
  torch::Tensor l_d_;
  torch::Tensor l_b_;
  double dropout_;
};

} // namespace errata::peft
