#pragma once

#include "core/decoder_config.h"
#include "core/torch.h"

namespace errata {

/// Angles of given positions, one row each: [rows, head_dim / 2].
struct RopeAngles {
  torch::Tensor cos;
  torch::Tensor sin;
};

/// Angle of one position's step for each pair of dimensions, [head_dim / 2]: `base^(-2j/head_dim)`,
/// divided as `config` says.
torch::Tensor rope_frequencies(const RopeConfig& config, std::int64_t head_dim, torch::Dtype dtype);

/// cos and sin of every position for one kind of layer; computed in float32 as transformers does
/// and extended when a longer sequence comes.
class RopeTable {
 public:
  RopeTable(RopeConfig config, std::int64_t head_dim);

  const RopeConfig& config() const { return config_; }

  /// Rows of the table for `positions` (int64 [rows], all below `limit`), in `dtype`.
  RopeAngles angles(const torch::Tensor& positions, std::int64_t limit, torch::Dtype dtype);

 private:
  void extend(std::int64_t limit, torch::Dtype dtype, torch::Device device);

  RopeConfig config_;
  std::int64_t head_dim_;
  RopeAngles table_;
};

/// Rotates the two halves of each head: `[x1 cos - x2 sin, x2 cos + x1 sin]` (Su et al. 2021, arXiv
/// 2104.09864, in HF's half-split form). `x` is [rows, heads, head_dim].
torch::Tensor rotate(const torch::Tensor& x, const RopeAngles& angles);

} // namespace errata
