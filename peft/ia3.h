#pragma once

#include "peft/adapter_types.h"
#include "peft/attachment.h"

namespace errata::peft {

/// (IA)^3 (2205.05638): PEFT's IA3.
const AdapterType& ia3_type();

/// A gain l, 1 at first, on the output of a linear with its bias (`l * (W x + b)`, l [out, 1]) or,
/// for a feed-forward module, on its input (`W (l * x) + b`, l [1, in]).
class Ia3Attachment final : public BoundAttachment {
 public:
  Ia3Attachment(Adaptable linear, torch::Tensor gain, bool feedforward);

  NamedTensors named_tensors() const override;
  bool reentrant() const override { return true; }
  bool additive() const override { return false; }

 protected:
  bool changes_input() const override { return feedforward_; }
  torch::Tensor input(const torch::Tensor& x) override;
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;
  torch::Tensor bias_change() const override;

 private:
  torch::Tensor scaled(const torch::Tensor& x) const;

  torch::Tensor gain_;
  bool feedforward_;
};

} // namespace errata::peft
