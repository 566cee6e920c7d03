#pragma once

#include "core/decoder.h"
#include "core/trainer.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace errata::editing {

/// What a layer gets to see, over all tokens, float64.
struct InputMoment {
  torch::Tensor second; ///< E[x x^T] [in, in]
  torch::Tensor mean;   ///< E[x] [in]
};

/// The moments of the inputs of each module, over every token of
/// `batches` micro-batches of `options.micro_tokens` from `source`. Modules with one input (q, k
/// and v; gate and up) share the tensors.
std::map<std::string, InputMoment> input_moments(
    Decoder& model,
    const std::vector<std::string>& modules,
    ExampleSource& source,
    const BatchOptions& options,
    std::int64_t batches);

/// P = t (C + t I)^-1 with t = `softness` times the mean eigenvalue of C, float32: close to the
/// identity on directions that inputs seldom take and to zero on frequent ones. A soft form of
/// AlphaEdit's null-space projection (2410.02355).
torch::Tensor soft_null_projection(const torch::Tensor& moment, double softness);

/// Locality term: gradients and updates of some matrices [out, in] are multiplied by P from the
/// right, so that outputs for the inputs that rehearsal has hardly change.
class NullSpace final : public TrainHook {
 public:
  /// `projections`: entry name of `parameters` to P [in, in].
  NullSpace(
      const FlatParameters& parameters, const std::map<std::string, torch::Tensor>& projections);

  void before_update(FlatParameters& parameters) override;
  void after_update(FlatParameters& parameters, double lr_factor) override;

 private:
  std::vector<std::pair<std::size_t, torch::Tensor>> projections_; ///< entry index, P
  std::vector<torch::Tensor> before_; ///< the projected matrices before the step
};

} // namespace errata::editing
