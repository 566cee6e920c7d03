#pragma once

#include "core/batch_plan.h"
#include "core/decoder.h"
#include "core/gradient_sink.h"
#include "core/label_loss.h"
#include "core/prefix_cache.h"
#include "core/train_options.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace errata {

/// The forward and backward pass of one optimizer step: gradients of its mean loss are added to the
/// parameters' gradients.
class TrainPass {
 public:
  struct Options {
    std::int64_t first_layer = 0; ///< nothing below it is trained
    LossMean loss_mean = LossMean::kTokens;
    double kl = 0.0;
    /// Called with true before and with false after the base's own pass, which KL and distilled
    /// examples need.
    std::function<void(bool)> use_base;
    /// What is trained. If given, the threads of a processor share out the examples of a pass where
    /// they can, each with the gradients of its own.
    std::vector<torch::Tensor> trained = {};
  };

  TrainPass(Decoder model, Options options);

  /// Computes what enters the first trainable layer once for each example of a finite set.
  void cache_prefix(
      const std::vector<std::shared_ptr<const TrainExample>>& examples, std::uint64_t max_bytes);

  struct Result {
    torch::Tensor loss; ///< float64 scalar: cross-entropy + kl * divergence
    std::int64_t rows = 0;
  };
  Result accumulate(const StepBatch& batch);

 private:
  /// What one unit of an example's label position counts in this step's mean.
  struct Scale {
    double per_weight = 0;
    double per_kl_row = 0;
  };
  /// What a label position of an example counts: by its token, and by the base's distribution.
  struct RowWeights {
    double token = 0;
    double base = 0;
  };

  /// What is computed of some examples.
  struct Piece {
    MicroBatch examples;
    torch::Tensor base; ///< the base's states at the rows held to it, if there are any
    GradientSink sink;
    torch::Tensor loss;
  };

  Scale scale_of(const StepBatch& batch) const;
  std::vector<Piece> pieces_of(const MicroBatch& micro) const;
  std::int64_t piece_count(const MicroBatch& micro) const;
  double cost_of(const TrainExample& example) const;
  void run_base(std::vector<Piece>& pieces);
  void run(Piece& piece, Scale scale, std::int64_t pieces);
  LabelTargets targets_of(const MicroBatch& micro, const PackedBatch& packed, Scale scale) const;
  torch::Tensor hidden_of(
      const MicroBatch& micro, const PackedBatch& packed, const torch::Tensor& rows);
  PackedBatch pack_filled(const MicroBatch& micro) const;
  /// At how many rows a product of `rows` runs best, and rows filled up to that many.
  std::int64_t fitting(std::int64_t rows) const;
  void fill(std::vector<std::int64_t>& rows) const;
  torch::Tensor base_hidden_of(const MicroBatch& micro);
  double row_weight(const TrainExample& example) const;
  RowWeights row_weights(const TrainExample& example, Scale scale) const;
  bool held_to_base(const TrainExample& example) const;

  Decoder model_;
  Options options_;
  std::unique_ptr<PrefixCache> cache_;
  std::optional<bool> shared_out_; ///< whether threads may share out a pass; known at the first
};

} // namespace errata
