#pragma once

#include "core/train_example.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace errata {

/// An example in a batch; `index` is its place in a finite set, -1 for one from a stream.
struct PlannedExample {
  std::shared_ptr<const TrainExample> example;
  std::int64_t index = -1;
};

using MicroBatch = std::vector<PlannedExample>;

/// The examples of one optimizer step, cut into pieces that go through the model one at a time.
struct StepBatch {
  std::vector<MicroBatch> micro;
  bool ends_epoch = false;
};

/// Each example in turn to the one of `parts` shares that costs least so far, the first of equals.
/// With positive costs and as many examples as parts no share is empty.
std::vector<MicroBatch> share_out(
    const MicroBatch& micro,
    std::size_t parts,
    const std::function<double(const TrainExample&)>& cost);

/// Decides which examples make up which step. Deterministic: a plan made again and asked again
/// gives the same steps, so a resumed run skips to its step.
class BatchPlan {
 public:
  virtual ~BatchPlan() = default;
  virtual StepBatch next() = 0;
  /// Steps in all, 0 when the plan has no end.
  virtual std::int64_t steps() const = 0;
};

struct BatchOptions {
  std::int64_t batch_tokens = 4096; ///< forward rows a step
  /// Examples a step instead of tokens, 0 for none; for epochs.
  std::int64_t batch_examples = 0;
  std::int64_t micro_tokens = 4096; ///< forward rows that go through the model at once
  /// Examples of a stream that are sorted by length before they are cut into batches, so that a
  /// batch has few lengths and attention few groups.
  std::int64_t pool = 3072;
  std::uint64_t seed = 0; ///< of the shuffling
};

/// Endless batches from a stream: a pool of examples is sorted by length, cut into micro-batches of
/// equal size, and these are shuffled. `source` must outlive the plan.
std::unique_ptr<BatchPlan> plan_stream(ExampleSource& source, const BatchOptions& options);

/// Each example exactly once an epoch, in an order shuffled anew for each (breadth first:
/// 2509.22072).
std::unique_ptr<BatchPlan> plan_epochs(
    std::vector<std::shared_ptr<const TrainExample>> examples,
    std::int64_t epochs,
    const BatchOptions& options);

} // namespace errata
