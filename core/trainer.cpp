#include "core/trainer.h"

#include "core/base/error.h"
#include "core/base/interrupt.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <numeric>
#include <utility>

namespace errata {
namespace {

constexpr std::size_t kRecentSteps = 20;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<std::vector<NamedTensor>> parameters_of(const std::vector<ParameterGroup>& groups) {
  std::vector<std::vector<NamedTensor>> all;
  for (const ParameterGroup& group : groups) {
    all.push_back(group.parameters);
  }
  return all;
}

std::vector<OptimizerOptions> optimizers_of(const std::vector<ParameterGroup>& groups) {
  std::vector<OptimizerOptions> all;
  for (const ParameterGroup& group : groups) {
    all.push_back(group.options);
  }
  return all;
}

std::map<std::string, std::string> fingerprint_of(
    const TrainOptions& options, const std::vector<ParameterGroup>& groups) {
  std::map<std::string, std::string> all = fingerprint(options);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const OptimizerOptions& o = groups[i].options;
    std::ostringstream text;
    text.precision(17);
    text << to_string(o.kind) << " lr " << o.lr << " decay " << o.weight_decay << " betas "
         << o.beta1 << ' ' << o.beta2 << " eps " << o.eps << " momentum " << o.momentum << " in "
         << torch::toString(o.iteration_dtype);
    all[concat("optimizer of group ", i)] = std::move(text).str();
  }
  return all;
}

TrainOptions validated(TrainOptions options) {
  validate(options);
  return options;
}

// Sets the decoder's dropout for a scope.
class DropoutScope {
 public:
  DropoutScope(Decoder& model, double probability) : model_(model) {
    model_->set_residual_dropout(probability);
  }
  ~DropoutScope() { model_->set_residual_dropout(0.0); }
  DropoutScope(const DropoutScope&) = delete;
  DropoutScope& operator=(const DropoutScope&) = delete;

 private:
  Decoder& model_;
};

} // namespace

FrozenScope::FrozenScope(Decoder& model) {
  for (torch::Tensor& parameter : model->parameters()) {
    flags_.emplace_back(parameter, parameter.requires_grad());
    parameter.requires_grad_(false);
  }
}

FrozenScope::~FrozenScope() {
  for (auto& [parameter, flag] : flags_) {
    parameter.set_requires_grad(flag);
  }
}

Trainer::Trainer(Decoder model, const std::vector<ParameterGroup>& groups, TrainOptions options)
    : model_(std::move(model)),
      options_(validated(std::move(options))),
      frozen_(model_),
      parameters_(parameters_of(groups)),
      optimizer_(parameters_, optimizers_of(groups)),
      state_(options_.checkpoint.directory, fingerprint_of(options_, groups)) {
  for (const FlatParameters::Entry& entry : parameters_.entries()) {
    entry.parameter.set_requires_grad(true);
  }
}

Trainer::~Trainer() {
  for (const FlatParameters::Entry& entry : parameters_.entries()) {
    entry.parameter.set_requires_grad(false);
  }
}

TrainPass Trainer::make_pass() const {
  std::vector<torch::Tensor> trained;
  for (const FlatParameters::Entry& entry : parameters_.entries()) {
    trained.push_back(entry.parameter);
  }
  return TrainPass(
      model_, {first_layer_, options_.loss_mean, options_.kl, use_base_, std::move(trained)});
}

TrainReport Trainer::run(ExampleSource& source, const ProgressCallback& progress) {
  ERRATA_CHECK(
      options_.steps > 0,
      ErrorCode::kInvalidArgument,
      "epochs need a finite set of examples; a stream has none: give steps");
  started_ = now();
  TrainPass pass = make_pass();
  return run(*plan_stream(source, options_.batch), pass, progress);
}

TrainReport Trainer::run(std::vector<TrainExample> examples, const ProgressCallback& progress) {
  started_ = now();
  std::vector<std::shared_ptr<const TrainExample>> shared;
  for (TrainExample& example : examples) {
    shared.push_back(std::make_shared<const TrainExample>(std::move(example)));
  }
  TrainPass pass = make_pass();
  if (first_layer_ > 0 && options_.prefix_cache) {
    pass.cache_prefix(shared, options_.prefix_cache_bytes);
  }
  return run(*plan_epochs(std::move(shared), options_.epochs, options_.batch), pass, progress);
}

TrainReport Trainer::run(BatchPlan& plan, TrainPass& pass, const ProgressCallback& progress) {
  const std::int64_t total = options_.steps > 0 ? options_.steps : plan.steps();
  const DropoutScope dropout(model_, options_.residual_dropout);
  torch::manual_seed(options_.seed);
  progress_ = {};
  pending_.reset();
  for (const auto& hook : hooks_) {
    hook->begin(total);
  }
  resume(plan);
  saved_ = now();
  bool stop = false;
  while (!progress_.finished && !stop && progress_.step < total) {
    stop_if_interrupted(total);
    stop = step(plan.next(), pass, total);
    report_step(progress, total);
    save_if_due();
  }
  read_pending();
  progress_.finished = true;
  save();
  return make_report(progress_.step < total);
}

void Trainer::resume(BatchPlan& plan) {
  if (!options_.checkpoint.resume || !state_.exists()) {
    return;
  }
  progress_ = state_.load(parameters_, carried_state());
  if (!progress_.finished) {
    for (std::int64_t i = 0; i < progress_.step; ++i) {
      plan.next();
    }
  }
}

// One step; true when training is to end. Without early stopping a loss is read only once the next
// step's work is queued, so that a device never waits for the host.
bool Trainer::step(const StepBatch& batch, TrainPass& pass, std::int64_t total) {
  parameters_.gradients().zero_();
  TrainPass::Result result = pass.accumulate(batch);
  progress_.tokens += result.rows;
  const bool early = options_.early_stop > 0;
  if (early && result.loss.item<double>() < options_.early_stop) {
    ++progress_.skipped;
  } else {
    update(total);
  }
  const bool end = early ? false : read_pending();
  pending_.emplace(std::move(result.loss), batch.ends_epoch);
  ++progress_.step;
  return early ? read_pending() : end;
}

void Trainer::update(std::int64_t total) {
  const torch::NoGradGuard no_grad;
  for (const auto& hook : hooks_) {
    hook->gradients_ready(parameters_);
  }
  torch::Tensor& gradients = parameters_.gradients();
  if (options_.grad_clip > 0) {
    const torch::Tensor norm = torch::linalg_vector_norm(gradients);
    gradients.mul_((options_.grad_clip / (norm + 1e-6)).clamp_max(1.0));
  }
  for (const auto& hook : hooks_) {
    hook->before_update(parameters_);
  }
  const double factor = schedule_factor(options_.schedule, progress_.step, total);
  optimizer_.step(factor);
  for (const auto& hook : hooks_) {
    hook->after_update(parameters_, factor);
  }
}

// What a step reads besides parameters and batches.
std::vector<NamedTensor> Trainer::carried_state() {
  std::vector<NamedTensor> all;
  for (const auto& [name, tensor] : optimizer_.state()) {
    all.emplace_back("optimizer." + name, tensor);
  }
  for (std::size_t i = 0; i < hooks_.size(); ++i) {
    for (const auto& [name, tensor] : hooks_[i]->state()) {
      all.emplace_back(concat("hook", i, ".", name), tensor);
    }
  }
  return all;
}

// Takes the last loss into account; true when training is to end with it.
bool Trainer::read_pending() {
  if (!pending_) {
    return false;
  }
  const double loss = pending_->first.item<double>();
  const bool ends_epoch = pending_->second;
  pending_.reset();
  ERRATA_CHECK(
      std::isfinite(loss),
      ErrorCode::kInvalidArgument,
      "training diverged at step ",
      progress_.step,
      ": the loss is ",
      loss,
      "; lower the learning rate");
  progress_.recent.push_back(loss);
  if (progress_.recent.size() > kRecentSteps) {
    progress_.recent.erase(progress_.recent.begin());
  }
  progress_.epoch_loss += loss;
  ++progress_.epoch_steps;
  double mean = progress_.epoch_loss / static_cast<double>(progress_.epoch_steps);
  bool judged = ends_epoch;
  if (options_.epochs == 0) {
    judged = progress_.recent.size() == kRecentSteps;
    mean = mean_recent();
  }
  if (ends_epoch) {
    progress_.epoch_loss = 0;
    progress_.epoch_steps = 0;
  }
  return judged && mean < options_.early_stop;
}

void Trainer::save() {
  if (options_.checkpoint.directory.empty()) {
    return;
  }
  read_pending();
  const double clock = now();
  progress_.seconds += clock - started_;
  started_ = clock;
  state_.save(parameters_, carried_state(), progress_);
  saved_ = now();
}

void Trainer::save_if_due() {
  const CheckpointOptions& checkpoint = options_.checkpoint;
  const bool by_steps = checkpoint.every_steps > 0 && progress_.step % checkpoint.every_steps == 0;
  const bool by_time = checkpoint.every_seconds > 0 && now() - saved_ >= checkpoint.every_seconds;
  if (by_steps || by_time) {
    save();
  }
}

void Trainer::stop_if_interrupted(std::int64_t total) {
  if (!interrupted()) {
    return;
  }
  save();
  const std::string where = concat("training stopped after step ", progress_.step, " of ", total);
  if (options_.checkpoint.directory.empty()) {
    ERRATA_FAIL(ErrorCode::kInterrupted, where, "; no checkpoint directory, so nothing was kept");
  }
  ERRATA_FAIL(
      ErrorCode::kInterrupted,
      where,
      "; state kept in ",
      options_.checkpoint.directory.string(),
      ": continue with --resume");
}

void Trainer::report_step(const ProgressCallback& progress, std::int64_t total) const {
  if (!progress) {
    return;
  }
  const double seconds = progress_.seconds + now() - started_;
  const double rate = seconds > 0 ? static_cast<double>(progress_.tokens) / seconds : 0;
  std::ostringstream detail;
  detail << std::fixed << std::setprecision(3) << "loss " << mean_recent() << std::setprecision(0)
         << ", " << rate << " tokens/s";
  report(progress, {"training", progress_.step, total, "steps", std::move(detail).str()});
}

double Trainer::mean_recent() const {
  if (progress_.recent.empty()) {
    return 0;
  }
  return std::accumulate(progress_.recent.begin(), progress_.recent.end(), 0.0) /
         static_cast<double>(progress_.recent.size());
}

TrainReport Trainer::make_report(bool stopped_early) const {
  TrainReport report;
  report.steps = progress_.step;
  report.tokens = progress_.tokens;
  report.skipped = progress_.skipped;
  report.seconds =
      progress_.seconds + (options_.checkpoint.directory.empty() ? now() - started_ : 0.0);
  report.loss = mean_recent();
  report.trainable_parameters = parameters_.count();
  report.stopped_early = stopped_early;
  return report;
}

} // namespace errata
