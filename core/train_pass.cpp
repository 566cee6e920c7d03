#include "core/train_pass.h"

#include "core/base/error.h"

#include <algorithm>
#include <utility>

namespace errata {
namespace {

void append_label_rows(
    const TrainExample& example, std::int64_t first_row, std::vector<std::int64_t>& rows) {
  for (std::int64_t t = example.first_label; t < example.rows() + 1; ++t) {
    rows.push_back(first_row + t - 1);
  }
}

// Rehearsal first, so that the rows held to the base stand together at the front.
MicroBatch rehearsal_first(const MicroBatch& micro) {
  MicroBatch ordered = micro;
  std::stable_partition(ordered.begin(), ordered.end(), [](const PlannedExample& planned) {
    return planned.example->rehearsal;
  });
  return ordered;
}

MicroBatch rehearsal_only(const MicroBatch& micro) {
  MicroBatch held;
  std::copy_if(
      micro.begin(), micro.end(), std::back_inserter(held), [](const PlannedExample& planned) {
        return planned.example->rehearsal;
      });
  return held;
}

torch::Tensor to_device(const std::vector<std::int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device, /*non_blocking=*/true);
}

// oneDNN compiles its bfloat16 products for each number of rows, and a batch hardly ever has the
// last one's: filled up to a few sizes, they are compiled once. Small batches would be mostly
// filling.
std::int64_t common_multiple(std::int64_t rows, const torch::Device& device, torch::Dtype dtype) {
  constexpr std::int64_t kLeastRows = 128;
  constexpr std::int64_t kManyRows = 1024;
  if (!device.is_cpu() || dtype != torch::kBFloat16 || rows < kLeastRows) {
    return 1;
  }
  return rows >= kManyRows ? 64 : 32;
}

// Further entries that change nothing: the first row with no weight.
void fill_labels(
    std::vector<std::int64_t>& rows,
    std::vector<std::int64_t>& labels,
    std::vector<float>& weights,
    std::int64_t multiple) {
  while (static_cast<std::int64_t>(rows.size()) % multiple != 0) {
    rows.push_back(rows.front());
    labels.push_back(labels.front());
    weights.push_back(0);
  }
}

// Turns the adapter off, or the base's weights on, for a scope.
class BaseScope {
 public:
  explicit BaseScope(const std::function<void(bool)>& use_base) : use_base_(use_base) {
    use_base_(true);
  }
  ~BaseScope() { use_base_(false); }
  BaseScope(const BaseScope&) = delete;
  BaseScope& operator=(const BaseScope&) = delete;

 private:
  const std::function<void(bool)>& use_base_;
};

} // namespace

TrainPass::TrainPass(Decoder model, Options options)
    : model_(std::move(model)), options_(std::move(options)) {
  ERRATA_CHECK(
      options_.kl == 0.0 || options_.use_base,
      ErrorCode::kInternal,
      "the KL term needs a way to run the base model");
}

void TrainPass::cache_prefix(
    const std::vector<std::shared_ptr<const TrainExample>>& examples, std::uint64_t max_bytes) {
  cache_ = std::make_unique<PrefixCache>(model_, options_.first_layer, examples, max_bytes);
}

double TrainPass::row_weight(const TrainExample& example) const {
  return options_.loss_mean == LossMean::kTokens
             ? example.weight
             : example.weight / static_cast<double>(example.labels());
}

TrainPass::Scale TrainPass::scale_of(const StepBatch& batch) const {
  double weight = 0;
  double kl_rows = 0;
  for (const MicroBatch& micro : batch.micro) {
    for (const PlannedExample& planned : micro) {
      const TrainExample& example = *planned.example;
      ERRATA_CHECK(
          example.first_label >= 1 && example.labels() >= 1,
          ErrorCode::kInternal,
          "a training example of ",
          example.tokens.size(),
          " tokens has its first label at ",
          example.first_label);
      weight += row_weight(example) * static_cast<double>(example.labels());
      kl_rows += example.rehearsal ? static_cast<double>(example.labels()) : 0.0;
    }
  }
  ERRATA_CHECK(weight > 0, ErrorCode::kInternal, "the examples of a step have no weight");
  return {1.0 / weight, kl_rows > 0 ? options_.kl / kl_rows : 0.0};
}

LabelTargets TrainPass::targets_of(
    const MicroBatch& micro, const PackedBatch& packed, Scale scale) const {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> labels;
  std::vector<float> weights;
  std::int64_t held = 0;
  for (std::size_t i = 0; i < micro.size(); ++i) {
    const TrainExample& example = *micro[i].example;
    append_label_rows(example, packed.first_row[i], rows);
    labels.insert(labels.end(), example.tokens.begin() + example.first_label, example.tokens.end());
    weights.resize(rows.size(), static_cast<float>(row_weight(example) * scale.per_weight));
    held += example.rehearsal ? example.labels() : 0;
  }
  const torch::Device device = packed.ids.device();
  const auto count = static_cast<std::int64_t>(rows.size());
  fill_labels(rows, labels, weights, common_multiple(count, device, model_->compute_dtype()));
  LabelTargets targets;
  targets.rows = to_device(rows, device);
  targets.labels = to_device(labels, device);
  targets.weights = torch::tensor(weights, torch::kFloat32).to(device);
  targets.kl_weights = torch::full({held}, scale.per_kl_row, targets.weights.options());
  return targets;
}

torch::Tensor TrainPass::hidden_of(const MicroBatch& micro, const PackedBatch& packed) {
  if (options_.first_layer == 0) {
    return model_->hidden(packed);
  }
  torch::Tensor states;
  if (cache_) {
    states = cache_->states(model_, micro, packed);
  } else {
    const torch::NoGradGuard no_grad;
    states = model_->states_before(options_.first_layer, packed);
  }
  return model_->hidden_from(options_.first_layer, states, packed);
}

torch::Tensor TrainPass::base_hidden_of(const MicroBatch& micro) {
  const MicroBatch held = rehearsal_only(micro);
  if (options_.kl == 0.0 || held.empty()) {
    return {};
  }
  const torch::NoGradGuard no_grad;
  const BaseScope base(options_.use_base);
  const PackedBatch packed = pack_examples(held, model_->device());
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < held.size(); ++i) {
    append_label_rows(*held[i].example, packed.first_row[i], rows);
  }
  return hidden_of(held, packed).index_select(0, to_device(rows, packed.ids.device()));
}

TrainPass::Result TrainPass::accumulate(const StepBatch& batch) {
  const Scale scale = scale_of(batch);
  Result result;
  for (const MicroBatch& unordered : batch.micro) {
    const MicroBatch micro = options_.kl > 0 ? rehearsal_first(unordered) : unordered;
    // The base's pass comes first: no graph of the trained model may see its weights swapped.
    const torch::Tensor base = base_hidden_of(micro);
    PackedBatch packed = pack_examples(micro, model_->device());
    result.rows += packed.rows();
    packed.fill_rows(common_multiple(packed.rows(), packed.ids.device(), model_->compute_dtype()));
    const LabelTargets targets = targets_of(micro, packed, scale);
    const torch::Tensor at_labels = hidden_of(micro, packed).index_select(0, targets.rows);
    torch::Tensor gradient;
    const LabelLoss loss = output_layer_loss(model_, at_labels, base, targets, gradient);
    if (at_labels.requires_grad()) { // else nothing but the output layer is trained
      at_labels.backward(gradient);
    }
    const torch::Tensor sum = loss.cross_entropy + loss.kl;
    result.loss = result.loss.defined() ? result.loss + sum : sum;
  }
  return result;
}

} // namespace errata
