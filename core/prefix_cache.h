#pragma once

#include "core/batch_plan.h"
#include "core/decoder.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace errata {

/// The residual stream that enters the first trainable layer, computed once per example of a finite
/// set and reused in every epoch: what lies below does not change.
///
/// Everything is computed up front and in an order of its own, so that the bytes of a state do not
/// depend on the batch that asks for it first, and a resumed run sees the same ones.
class PrefixCache {
 public:
  /// Holds the states of as many examples, in order, as fit into `max_bytes`.
  PrefixCache(
      Decoder& model,
      std::int64_t layer,
      const std::vector<std::shared_ptr<const TrainExample>>& examples,
      std::uint64_t max_bytes);

  /// States [rows, hidden] entering the layer for `packed`, the packed form of `micro`. Examples
  /// that are not held are computed without a graph.
  torch::Tensor states(Decoder& model, const MicroBatch& micro, const PackedBatch& packed) const;

  std::int64_t held() const { return static_cast<std::int64_t>(first_row_.size()); }

 private:
  std::int64_t layer_;
  torch::Tensor states_; ///< [rows of all held examples, hidden]
  std::vector<std::int64_t> first_row_;
};

/// Packs the examples of `micro` without their last tokens, which predict nothing.
PackedBatch pack_examples(const MicroBatch& micro, torch::Device device);
/// The same on the device of `model`, with shared prefixes where it takes them: for what is read
/// where a token is asked for, not for sums over all tokens.
PackedBatch pack_shared(const MicroBatch& micro, const DecoderImpl& model);

} // namespace errata
