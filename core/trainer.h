#pragma once

#include "core/base/progress.h"
#include "core/decoder.h"
#include "core/flat_parameters.h"
#include "core/optimizer.h"
#include "core/train_example.h"
#include "core/train_options.h"
#include "core/train_pass.h"
#include "core/train_state.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace errata {

/// Something that acts on gradients or weights around each optimizer step. What it does must follow
/// from its construction, the parameters and its `state`: it is made again when a run is resumed.
class TrainHook {
 public:
  virtual ~TrainHook() = default;
  /// A run of `steps` steps is to begin, or to go on.
  virtual void begin(std::int64_t /*steps*/) {}
  /// Gradients of the loss are complete: the place for a term's own.
  virtual void gradients_ready(FlatParameters&) {}
  /// Gradients are complete and clipped.
  virtual void before_update(FlatParameters&) {}
  /// The optimizer has moved the weights at `lr_factor` times its rate.
  virtual void after_update(FlatParameters&, double /*lr_factor*/) {}
  /// What it carries from step to step, to be saved and filled in place.
  virtual std::vector<NamedTensor> state() { return {}; }
};

struct TrainReport {
  std::int64_t steps = 0;
  std::int64_t tokens = 0; ///< forward rows
  std::int64_t skipped = 0;
  double seconds = 0;
  double loss = 0; ///< mean of the last 20 steps
  std::int64_t trainable_parameters = 0;
  bool stopped_early = false;
};

/// Keeps all parameters of a model from requiring gradients while it lives.
class FrozenScope {
 public:
  explicit FrozenScope(Decoder& model);
  ~FrozenScope();
  FrozenScope(const FrozenScope&) = delete;
  FrozenScope& operator=(const FrozenScope&) = delete;

 private:
  std::vector<std::pair<torch::Tensor, bool>> flags_; ///< requires_grad before
};

/// The training loop of pre-training and of every editor that follows gradients: packed batches
/// without padding, logits at label rows only, no graph and (for finite sets) no second computation
/// below the first trainable layer, float32 parameters in one buffer, atomic checkpoints.
///
///     Trainer trainer(model, split_parameters(named, muon, adamw), options);
///     TrainReport report = trainer.run(source, progress);
///
/// The same seed, machine and number of threads give the same bytes, with or without interruptions.
class Trainer {
 public:
  /// Takes the parameters of `groups` (leaves of `model`'s graph: its own or an adapter's) into one
  /// buffer, where they stay; freezes all other parameters of `model` while this object lives.
  Trainer(Decoder model, const std::vector<ParameterGroup>& groups, TrainOptions options);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  FlatParameters& parameters() { return parameters_; }
  /// Nothing below this layer is trained (0 at first).
  void set_first_layer(std::int64_t layer) { first_layer_ = layer; }
  /// For the KL term and distilled examples: makes the model compute the base (true) and itself
  /// again (false).
  void set_base_switch(std::function<void(bool)> use_base) { use_base_ = std::move(use_base); }
  void add_hook(std::unique_ptr<TrainHook> hook) { hooks_.push_back(std::move(hook)); }

  /// `options.steps` steps on a stream. Throws `kInterrupted` after saving when the user stops.
  TrainReport run(ExampleSource& source, const ProgressCallback& progress = {});
  /// `options.epochs` passes over a finite set, each example once a pass, or `options.steps` steps.
  TrainReport run(std::vector<TrainExample> examples, const ProgressCallback& progress = {});

 private:
  TrainReport run(BatchPlan& plan, TrainPass& pass, const ProgressCallback& progress);
  TrainPass make_pass() const;
  void resume(BatchPlan& plan);
  bool step(const StepBatch& batch, TrainPass& pass, std::int64_t total);
  void update(std::int64_t total);
  std::vector<NamedTensor> carried_state();
  bool read_pending();
  void save();
  void save_if_due();
  void stop_if_interrupted(std::int64_t total);
  void report_step(const ProgressCallback& progress, std::int64_t total) const;
  double mean_recent() const;
  TrainReport make_report(bool stopped_early) const;

  Decoder model_;
  TrainOptions options_;
  FrozenScope frozen_;
  FlatParameters parameters_;
  Optimizer optimizer_;
  TrainState state_;
  std::vector<std::unique_ptr<TrainHook>> hooks_;
  std::function<void(bool)> use_base_;
  std::int64_t first_layer_ = 0;
  TrainProgress progress_;
  /// The last step's loss, not read yet: reading it waits for the device.
  std::optional<std::pair<torch::Tensor, bool>> pending_;
  double started_ = 0; ///< clock at which this process' share of `progress_.seconds` began
  double saved_ = 0;   ///< clock of the last checkpoint
};

} // namespace errata
