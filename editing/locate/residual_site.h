#pragma once

#include "core/decoder.h"

#include <cstdint>
#include <string>

namespace errata::editing {

/// Where the MLP of a layer adds to the residual stream: with what its last matrix gives, or, in
/// families with sandwich norms (Gemma 2 and 3), with that behind a norm.
class ResidualSite {
 public:
  ResidualSite(const Decoder& model, std::int64_t layer);

  std::int64_t layer() const { return layer_; }
  /// The last matrix of the MLP: `model.layers.3.mlp.down_proj`.
  const std::string& module() const { return module_; }

  /// What outputs `y` [n, hidden] of the matrix add to the stream.
  torch::Tensor added(const torch::Tensor& y) const;
  /// By how much outputs `y` must change so that they add `change` [n, hidden] more. A norm lets
  /// only their direction through: behind one what is added then points where it should, in the
  /// length that the norm gives.
  torch::Tensor needed(const torch::Tensor& y, const torch::Tensor& change) const;

 private:
  std::int64_t layer_;
  std::string module_;
  Adaptable norm_; ///< empty: none
  double eps_;
  bool adds_one_;
};

} // namespace errata::editing
