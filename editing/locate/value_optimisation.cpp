#include "editing/locate/value_optimisation.h"

#include "core/autograd.h"
#include "core/base/error.h"
#include "core/base/interrupt.h"
#include "core/prompt_queue.h"
#include "core/trainer.h"
#include "editing/locate/module_record.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace errata::editing {
namespace {

/// The rows of a pass, by what they are for; int64 but for the weights.
struct PassRows {
  torch::Tensor subjects;      ///< of each sequence, its subject's last token
  torch::Tensor owners;        ///< of each sequence, its problem
  torch::Tensor moved;         ///< of each row that is a subject, the first such sequence
  torch::Tensor bare;          ///< of each problem, its bare prompt among the sequences
  torch::Tensor labels;        ///< rows that predict a target's token
  torch::Tensor targets;       ///< the token
  torch::Tensor label_owners;  ///< its problem
  torch::Tensor label_weights; ///< that make means over tokens and prompts
  torch::Tensor kept;          ///< of each problem, the subject of `about`
};

// The sequences of a pass: each problem's prompts, then its `about`.
std::vector<Tokens> sequences_of(std::span<const ValueProblem> problems) {
  std::vector<Tokens> sequences;
  for (const ValueProblem& problem : problems) {
    for (const LocatedPrompt& prompt : problem.prompts) {
      sequences.emplace_back(prompt.tokens.begin(), prompt.tokens.end() - 1);
    }
    sequences.push_back(problem.about.tokens);
  }
  return sequences;
}

// What contexts and templates have in common is there once: most of a pass.
PackedBatch packed(const Decoder& model, std::span<const ValueProblem> problems) {
  PackedBatch batch = pack(sequences_of(problems), model->device());
  if (model->shares_prefixes()) {
    batch.share_prefixes();
  }
  return batch;
}

PassRows rows_of(
    std::span<const ValueProblem> problems, const PackedBatch& batch, torch::Dtype dtype) {
  std::vector<std::int64_t> subjects, owners, moved, bare, labels, targets, label_owners, kept;
  std::vector<double> weights;
  std::size_t sequence = 0;
  std::set<std::int64_t> known;
  const auto add = [&](std::int64_t owner, const LocatedPrompt& prompt) {
    const std::int64_t row = batch.row_of(sequence, prompt.subject_last);
    if (known.insert(row).second) { // sequences of one problem may share it
      moved.push_back(static_cast<std::int64_t>(sequence));
    }
    owners.push_back(owner);
    subjects.push_back(row);
    ++sequence;
  };
  for (std::int64_t owner = 0; owner < std::ssize(problems); ++owner) {
    const ValueProblem& problem = problems[static_cast<std::size_t>(owner)];
    bare.push_back(static_cast<std::int64_t>(sequence));
    for (const LocatedPrompt& prompt : problem.prompts) {
      const std::int64_t count = prompt.rows() - prompt.first_label;
      for (std::int64_t t = prompt.first_label; t < prompt.rows(); ++t) {
        labels.push_back(batch.row_of(sequence, t - 1));
        targets.push_back(prompt.tokens[static_cast<std::size_t>(t)]);
        label_owners.push_back(owner);
        weights.push_back(1.0 / static_cast<double>(count * std::ssize(problem.prompts)));
      }
      add(owner, prompt);
    }
    add(owner, problem.about);
    kept.push_back(subjects.back());
  }
  const torch::Device device = batch.ids.device();
  const auto numbers = [&](const std::vector<std::int64_t>& values) {
    return torch::tensor(values, torch::kInt64).to(device);
  };
  return {
      numbers(subjects),
      numbers(owners),
      numbers(moved),
      numbers(bare),
      numbers(labels),
      numbers(targets),
      numbers(label_owners),
      torch::tensor(weights, torch::kFloat64).to(device, dtype),
      numbers(kept)};
}

/// Adam with one moment of each entry, for rows that may stop one by one.
class RowAdam {
 public:
  RowAdam(const torch::Tensor& like, double lr)
      : first_(torch::zeros_like(like)), second_(torch::zeros_like(like)), lr_(lr) {}

  /// What to add to the rows that are `active` [n, 1].
  torch::Tensor step(const torch::Tensor& gradient, const torch::Tensor& active) {
    constexpr double kBeta1 = 0.9;
    constexpr double kBeta2 = 0.999;
    constexpr double kEps = 1e-8;
    ++steps_;
    first_.mul_(kBeta1).add_(gradient, 1 - kBeta1);
    second_.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
    const double t = static_cast<double>(steps_);
    const torch::Tensor denominator = (second_ / (1 - std::pow(kBeta2, t))).sqrt_().add_(kEps);
    const torch::Tensor step = first_ / denominator * (-lr_ / (1 - std::pow(kBeta1, t)));
    return torch::where(active, step, torch::zeros_like(step));
  }

 private:
  torch::Tensor first_;
  torch::Tensor second_;
  double lr_;
  std::int64_t steps_ = 0;
};

/// Some problems, solved in one pass a step.
class ValuePass {
 public:
  ValuePass(
      Decoder& model,
      const ResidualSite& site,
      std::span<const ValueProblem> problems,
      const ValueOptions& options)
      : model_(model),
        site_(site),
        options_(options),
        dtype_(statistics_dtype(model->compute_dtype())),
        batch_(packed(model, problems)),
        rows_(rows_of(problems, batch_, dtype_)),
        wanted_(torch::cat({rows_.labels, rows_.kept})) {
    const torch::NoGradGuard no_grad;
    const ModuleRecord record(model, site.module());
    states_ = model->states_before(site.layer() + 1, batch_);
    matrix_ = record.output().index_select(0, rows_.subjects).to(dtype_);
    layer_ = states_.index_select(0, rows_.subjects).index_select(0, rows_.bare).to(dtype_);
    start_ = options.site == ValueSite::kLayer ? layer_ : bare_matrix();
    norm_ = start_.norm(2, -1, /*keepdim=*/true);
  }

  Values solve(const ProgressCallback& progress) {
    torch::Tensor delta = torch::zeros_like(start_);
    RowAdam adam(delta, options_.lr);
    Values values;
    for (std::int64_t step = 1;; ++step) {
      ERRATA_CHECK(!interrupted(), ErrorCode::kInterrupted, "editing stopped by the user");
      delta.requires_grad_(true);
      const torch::Tensor losses = losses_at(delta);
      values.loss = losses.detach();
      values.tokens += batch_.rows();
      const torch::Tensor active = (values.loss >= options_.early_stop).unsqueeze(1);
      report(progress, {"", step, options_.steps, "steps", ""});
      if (step == options_.steps || !active.any().item<bool>()) {
        break;
      }
      const torch::Tensor gradient = torch::autograd::grad({losses.sum()}, {delta})[0];
      delta = clamped(delta.detach() + adam.step(gradient, active));
    }
    const torch::NoGradGuard no_grad;
    delta = delta.detach();
    values.layer = (layer_ + shift(delta, rows_.bare)).to(torch::kFloat64);
    const torch::Tensor change =
        options_.site == ValueSite::kMatrix ? delta : site_.needed(bare_matrix(), delta);
    values.matrix = (bare_matrix() + change).to(torch::kFloat64);
    values.loss = values.loss.to(torch::kFloat64);
    return values;
  }

 private:
  torch::Tensor bare_matrix() const { return matrix_.index_select(0, rows_.bare); }

  torch::Tensor clamped(const torch::Tensor& delta) const {
    const torch::Tensor size = delta.norm(2, -1, /*keepdim=*/true);
    const torch::Tensor largest = norm_ * options_.clamp;
    return torch::where(size > largest, delta * (largest / size), delta);
  }

  /// What `delta` [problems, hidden] adds to the stream of these sequences.
  torch::Tensor shift(const torch::Tensor& delta, const torch::Tensor& sequences) const {
    const torch::Tensor moved = delta.index_select(0, rows_.owners.index_select(0, sequences));
    if (options_.site == ValueSite::kLayer) {
      return moved;
    }
    const torch::Tensor y = matrix_.index_select(0, sequences);
    return site_.added(y + moved) - site_.added(y);
  }

  torch::Tensor losses_at(const torch::Tensor& delta) {
    const torch::Tensor states = states_.index_add(
        0,
        rows_.subjects.index_select(0, rows_.moved),
        shift(delta, rows_.moved).to(states_.scalar_type()));
    const torch::Tensor hidden = model_->hidden_from(site_.layer() + 1, states, batch_, wanted_);
    const torch::Tensor log_p = torch::log_softmax(model_->logits(hidden).to(dtype_), -1);
    const std::int64_t labels = rows_.labels.size(0);
    const torch::Tensor nll =
        -log_p.narrow(0, 0, labels).gather(1, rows_.targets.unsqueeze(1)).squeeze(1);
    const torch::Tensor now = log_p.narrow(0, labels, rows_.kept.size(0));
    if (!base_.defined()) {
      base_ = now.detach();
    }
    const torch::Tensor divergence = (now.exp() * (now - base_)).sum(-1);
    // The square root of zero has no derivative.
    const torch::Tensor size = (delta.square().sum(-1) + 1e-30).sqrt();
    return (options_.kl * divergence + options_.weight_decay * size / norm_.squeeze(1).square())
        .index_add(0, rows_.label_owners, nll * rows_.label_weights);
  }

  Decoder& model_;
  const ResidualSite& site_;
  const ValueOptions& options_;
  torch::Dtype dtype_;
  PackedBatch batch_;
  PassRows rows_;
  torch::Tensor wanted_;
  torch::Tensor states_; ///< that the layer above gets, without a delta
  torch::Tensor matrix_; ///< [sequences, hidden]: the matrix's output at the subjects
  torch::Tensor layer_;  ///< [problems, hidden]: the layer's at the bare prompts' subjects
  torch::Tensor start_;  ///< v0
  torch::Tensor norm_;   ///< [problems, 1]
  torch::Tensor base_;   ///< log p0
};

std::int64_t rows_of(const ValueProblem& problem) {
  std::int64_t rows = problem.about.rows();
  for (const LocatedPrompt& prompt : problem.prompts) {
    rows += prompt.rows();
  }
  return rows;
}

/// The first problems that fit into one pass, one at least.
std::size_t fitting(std::span<const ValueProblem> problems, std::int64_t most) {
  std::int64_t rows = 0;
  std::size_t count = 0;
  while (count < problems.size()) {
    rows += rows_of(problems[count]);
    if (count > 0 && rows > most) {
      break;
    }
    ++count;
  }
  return count;
}

} // namespace

Values optimise_values(
    Decoder& model,
    const ResidualSite& site,
    std::span<const ValueProblem> problems,
    const ValueOptions& options,
    const ProgressCallback& progress) {
  const FrozenScope frozen(model);
  std::vector<torch::Tensor> matrix, layer, loss;
  std::int64_t tokens = 0;
  for (auto left = problems; !left.empty();) {
    const std::size_t count = fitting(left, options.micro_tokens);
    const std::int64_t done = std::ssize(problems) - std::ssize(left);
    const auto step = [&](const Progress& pass) {
      report(
          progress,
          {"values",
           done + static_cast<std::int64_t>(count) * pass.done / pass.total,
           std::ssize(problems),
           "values",
           ""});
    };
    const Values values = ValuePass(model, site, left.first(count), options).solve(step);
    matrix.push_back(values.matrix);
    layer.push_back(values.layer);
    loss.push_back(values.loss);
    tokens += values.tokens;
    left = left.subspan(count);
  }
  return {torch::cat(matrix), torch::cat(layer), torch::cat(loss), tokens};
}

} // namespace errata::editing
