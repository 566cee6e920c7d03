#pragma once

#include "core/trainer.h"

namespace errata::editing {

/// Locality term: after each step all trained weights move the share `pull` (times the schedule's
/// factor) of the way back to where they were before the edit.
class Anchor final : public TrainHook {
 public:
  Anchor(FlatParameters& parameters, double pull);

  void after_update(FlatParameters& parameters, double lr_factor) override;

 private:
  double pull_;
  torch::Tensor base_;
};

} // namespace errata::editing
