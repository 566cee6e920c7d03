#pragma once

#include "core/decoder_config.h"
#include "core/torch.h"

#include <memory>
#include <mutex>

namespace errata {

/// Angles of given positions, one row each: [rows, half of the dimensions that turn]. Undefined
/// where a family has no rotation.
struct RopeAngles {
  torch::Tensor cos;
  torch::Tensor sin;
  bool interleaved = false; ///< pairs are neighbours instead of the two halves
};

/// Angle of one position's step for each pair of the `dims` that turn, [dims / 2]:
/// `base^(-2j/dims)`, divided as `config` says.
torch::Tensor rope_frequencies(const RopeConfig& config, std::int64_t dims, torch::Dtype dtype);

/// cos and sin of every position for one kind of layer; computed in float32 as transformers does
/// and extended when a longer sequence comes.
class RopeTable {
 public:
  RopeTable(RopeConfig config, std::int64_t head_dim);

  const RopeConfig& config() const { return config_; }

  /// Rows of the table for `positions` (int64 [rows], all below `limit`), in `dtype`. `lengths`
  /// (int64 [rows]): of the sequence that each row is in, as far as it is known; only `dynamic`
  /// looks at them.
  RopeAngles angles(
      const torch::Tensor& positions,
      const torch::Tensor& lengths,
      std::int64_t limit,
      torch::Dtype dtype);

 private:
  RopeAngles dynamic_angles(
      const torch::Tensor& positions, const torch::Tensor& lengths, torch::Dtype dtype) const;
  void extend(std::int64_t limit, torch::Dtype dtype, torch::Device device);

  RopeConfig config_;
  std::int64_t dims_;
  std::unique_ptr<std::mutex> extending_; ///< several threads may ask at once
  RopeAngles table_;
};

/// Rotates the two halves of each head: `[x1 cos - x2 sin, x2 cos + x1 sin]` (Su et al. 2021, arXiv
/// 2104.09864, in HF's half-split form), or neighbours where the angles say so. `x` is [rows,
/// heads, head_dim]; dimensions beyond the angles' stay as they are.
torch::Tensor rotate(const torch::Tensor& x, const RopeAngles& angles);

} // namespace errata
