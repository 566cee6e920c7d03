#pragma once

#include "core/batch_plan.h"
#include "core/schedule.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace errata {

/// What the loss is a mean over: all label positions of a step, or first those of an example and
/// then the examples.
enum class LossMean { kTokens, kExamples };

/// Where and how often the state of a run is kept.
struct CheckpointOptions {
  std::filesystem::path directory; ///< empty: keep nothing
  double every_seconds = 30.0;     ///< 0: not by time
  std::int64_t every_steps = 0;    ///< 0: not by steps
  /// Continue from the directory's state when there is one.
  bool resume = false;
};

struct TrainOptions {
  // Changes behaviour.
  std::int64_t steps = 0;  ///< of the optimizer; exactly one of steps and epochs is positive
  std::int64_t epochs = 0; ///< over a finite set
  BatchOptions batch;
  ScheduleOptions schedule;
  LossMean loss_mean = LossMean::kTokens;
  double grad_clip = 1.0; ///< largest norm of all gradients together; 0: off
  /// A step whose loss is below this changes nothing, and training ends when the mean of an epoch
  /// is below it (without epochs: of the last 20 steps); 0: off.
  double early_stop = 0.0;
  double residual_dropout = 0.0;
  /// Weight of the mean KL(base || model) over the label positions of rehearsal examples that are
  /// not distilled.
  double kl = 0.0;
  std::uint64_t seed = 0; ///< of dropout; batches have their own
  /// Whatever else a resumed run must share with the interrupted one: hashes of model and data.
  std::map<std::string, std::string> context;

  // Changes speed and memory only.
  bool prefix_cache = true; ///< reuse what enters the first trainable layer (finite sets)
  std::uint64_t prefix_cache_bytes = std::uint64_t{4} << 30;
  CheckpointOptions checkpoint;
};

/// Throws `kInvalidArgument` that names the first value out of range.
void validate(const TrainOptions& options);

/// The options that change what is learnt, as name and text: what must be equal for a resume.
std::map<std::string, std::string> fingerprint(const TrainOptions& options);

} // namespace errata
