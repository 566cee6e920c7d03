#pragma once

#include "core/trainer.h"
#include "peft/adapter_types.h"
#include "peft/attachment.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace errata::peft {

/// AdaLoRA (2303.10512): PEFT's ADALORA.
const AdapterType& adalora_type();

/// `y + weight * scale * (x (A * E)^T) B^T` with E [r, 1] in the place of singular values.
class AdaLoraAttachment final : public Attachment {
 public:
  AdaLoraAttachment(
      torch::Tensor a, torch::Tensor b, torch::Tensor e, double scale, double dropout);

  NamedTensors named_tensors() const override;
  bool reentrant() const override { return dropout_ == 0; }

 protected:
  torch::Tensor branch(const torch::Tensor& x, const torch::Tensor& y) override;
  torch::Tensor change() const override;

 private:
  torch::Tensor a_; ///< [r, in]
  torch::Tensor b_; ///< [out, r]
  torch::Tensor e_; ///< [r, 1]
  double scale_;
  double dropout_;
};

/// What training does besides the steps: adds the gradient of the orthogonality term (equation 4),
/// scores the triplets by smoothed sensitivity and uncertainty (equations 8 to 10) and sets those
/// beyond the budget of the step to zero (equations 5 and 11), over all modules together.
class RankAllocator final : public TrainHook {
 public:
  RankAllocator(FlatParameters& parameters, const AdaLoraConfig& config);

  /// Where the config does not say `total_step`, it is `steps`, of which the first tenth has the
  /// ranks of the beginning and the last third those of the end. `kInvalidArgument` unless
  /// `total_step` is above tinit + tfinal.
  void begin(std::int64_t steps) override;
  void gradients_ready(FlatParameters& parameters) override;
  void after_update(FlatParameters& parameters, double lr_factor) override;
  std::vector<NamedTensor> state() override;

  const AdaLoraConfig& config() const { return config_; }
  /// Triplets that are left after `step` steps (equation 5).
  std::int64_t budget(std::int64_t step) const;

 private:
  /// The entries of one module in the flat buffer.
  struct Triplets {
    std::string module;
    std::size_t a = 0;
    std::size_t b = 0;
    std::size_t e = 0;
  };

  void score(FlatParameters& parameters);
  void choose(const FlatParameters& parameters, std::int64_t budget);
  void mask(const FlatParameters& parameters) const;

  AdaLoraConfig config_;
  std::vector<Triplets> modules_;
  std::int64_t triplets_ = 0;
  // Shaped like the buffer of values.
  torch::Tensor importance_;
  torch::Tensor uncertainty_;
  torch::Tensor kept_; ///< [triplets], 1 or 0
  torch::Tensor step_; ///< int64 scalar
};

/// The adapter without the triplets that are zero, as PEFT saves it, attached instead of `adapter`;
/// its config tells the schedule that it was trained with.
std::unique_ptr<Adapter> drop_pruned(
    Decoder& model, std::unique_ptr<Adapter> adapter, const AdaLoraConfig& schedule);

} // namespace errata::peft
