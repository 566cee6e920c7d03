#pragma once

#include "peft/adapter_types.h"
#include "peft/attachment.h"

#include <cstdint>
#include <string>
#include <vector>

namespace errata::peft {

/// LoRA (2106.09685), rsLoRA (2312.03732), DoRA (2402.09353), PiSSA and OLoRA: PEFT's LORA.
const AdapterType& lora_type();

/// A pair of factors: A [r, in] and B [out, r], float32.
struct LowRank {
  torch::Tensor a;
  torch::Tensor b;
};

/// The factors by their names below a module: those of tables are called differently in files.
NamedTensors named_factors(const LowRank& factors, bool table);

/// The best approximation of a change [out, in] by factors of a rank (or of the change's own).
LowRank best_factors(const torch::Tensor& change, std::int64_t rank);

/// `y + weight * scale * (x A^T) B^T`; LoRA and rsLoRA differ in `scale` only. With `start`
/// (PiSSA, OLoRA) the adapter's change is counted from that pair, so that the base need not be
/// changed: `scale * (B A - B0 A0)`. A file then holds the plain LoRA of twice the rank. A table of
/// vectors is adapted as the linear layer that it is on tokens as unit vectors, A [r, entries] and
/// B [hidden, r]; it has no dropout, as in PEFT.
class LoraAttachment final : public Attachment {
 public:
  LoraAttachment(
      LowRank factors, double scale, double dropout, LowRank start = {}, bool table = false);

  NamedTensors named_tensors() const override;
  NamedTensors file_tensors() const override;
  bool reentrant() const override { return dropout_ == 0; }

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;

 private:
  LowRank all_factors() const; ///< with `start_` as further rows of A and columns of B

  LowRank factors_;
  LowRank start_;
  double scale_;
  double dropout_;
  bool table_;
};

/// The config of the plain LoRA that `LoraAttachment::file_tensors` makes of PiSSA and OLoRA; any
/// other config as it is.
AdapterConfig plain_lora(AdapterConfig config);

/// A pattern that fits none of the targets would silently train another adapter than was asked for.
void check_patterns(const AdapterConfig& config, const std::vector<std::string>& modules);

} // namespace errata::peft
