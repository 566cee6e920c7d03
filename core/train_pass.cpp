#include "core/train_pass.h"

#include "core/base/error.h"
#include "core/parallel_rows.h"
#include "core/product.h"

#include <algorithm>
#include <utility>

namespace errata {
namespace {

void append_label_rows(
    const TrainExample& example,
    const PackedBatch& packed,
    std::size_t i,
    std::vector<std::int64_t>& rows) {
  for (std::int64_t t = example.first_label; t < example.rows() + 1; ++t) {
    rows.push_back(packed.row_of(i, t - 1));
  }
}

torch::Tensor to_device(const std::vector<std::int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device, /*non_blocking=*/true);
}

// A batch hardly ever has the last one's number of rows: filled up to a few, products are compiled
// once for each.
std::int64_t common_multiple(std::int64_t rows, const torch::Device& device, torch::Dtype dtype) {
  constexpr std::int64_t kSomeRows = 128;
  constexpr std::int64_t kManyRows = 1024;
  if (!compiles_products(device, dtype)) {
    return 1;
  }
  return rows >= kManyRows ? 64 : rows >= kSomeRows ? 32 : 16;
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

bool TrainPass::held_to_base(const TrainExample& example) const {
  return example.distilled || (options_.kl > 0 && example.rehearsal);
}

TrainPass::RowWeights TrainPass::row_weights(const TrainExample& example, Scale scale) const {
  const double own = row_weight(example) * scale.per_weight;
  if (example.distilled) {
    return {0, own};
  }
  return {own, held_to_base(example) ? scale.per_kl_row : 0.0};
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
      const bool penalised = held_to_base(example) && !example.distilled;
      kl_rows += penalised ? static_cast<double>(example.labels()) : 0.0;
    }
  }
  ERRATA_CHECK(weight > 0, ErrorCode::kInternal, "the examples of a step have no weight");
  return {1.0 / weight, kl_rows > 0 ? options_.kl / kl_rows : 0.0};
}

// What is held to the base, and then the others, each filled up with entries that change nothing.
LabelTargets TrainPass::targets_of(
    const MicroBatch& micro, const PackedBatch& packed, Scale scale) const {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> labels;
  std::vector<float> weights;
  std::vector<float> kl_weights;
  for (const bool held : {true, false}) {
    for (std::size_t i = 0; i < micro.size(); ++i) {
      const TrainExample& example = *micro[i].example;
      if (held_to_base(example) != held) {
        continue;
      }
      append_label_rows(example, packed, i, rows);
      labels.insert(
          labels.end(), example.tokens.begin() + example.first_label, example.tokens.end());
      const RowWeights own = row_weights(example, scale);
      weights.resize(rows.size(), static_cast<float>(own.token));
      if (held) {
        kl_weights.resize(rows.size(), static_cast<float>(own.base));
      }
    }
    if (rows.empty()) {
      continue;
    }
    fill(rows);
    labels.resize(rows.size(), labels.front());
    weights.resize(rows.size(), 0.0F);
    if (held) {
      kl_weights.resize(rows.size(), 0.0F);
    }
  }
  const torch::Device device = packed.ids.device();
  LabelTargets targets;
  targets.rows = to_device(rows, device);
  targets.labels = to_device(labels, device);
  targets.weights = torch::tensor(weights, torch::kFloat32).to(device);
  targets.kl_weights = torch::tensor(kl_weights, torch::kFloat32).to(device);
  return targets;
}

std::int64_t TrainPass::fitting(std::int64_t rows) const {
  const std::int64_t multiple = common_multiple(rows, model_->device(), model_->compute_dtype());
  return (rows + multiple - 1) / multiple * multiple;
}

void TrainPass::fill(std::vector<std::int64_t>& rows) const {
  rows.resize(
      static_cast<std::size_t>(fitting(static_cast<std::int64_t>(rows.size()))), rows.front());
}

PackedBatch TrainPass::pack_filled(const MicroBatch& micro) const {
  PackedBatch packed = pack_shared(micro, *model_);
  packed.fill_to(fitting(packed.rows()));
  return packed;
}

torch::Tensor TrainPass::hidden_of(
    const MicroBatch& micro, const PackedBatch& packed, const torch::Tensor& rows) {
  if (options_.first_layer == 0) {
    return model_->hidden(packed, rows);
  }
  torch::Tensor states;
  if (cache_) {
    states = cache_->states(model_, micro, packed);
  } else {
    const torch::NoGradGuard no_grad;
    states = model_->states_before(options_.first_layer, packed);
  }
  return model_->hidden_from(options_.first_layer, states, packed, rows);
}

// A piece for each thread, or the threads together on one, where rows, examples or memory do not
// suffice.
std::int64_t TrainPass::piece_count(const MicroBatch& micro) const {
  constexpr std::int64_t kLeastRows = 128; // operators of fewer are mostly fixed costs
  constexpr std::int64_t kMostApart = std::int64_t{1} << 26; // numbers of gradients kept apart
  const std::int64_t threads = at::get_num_threads();
  if (!shared_out_.value_or(false) || std::ssize(micro) < threads) {
    return 1;
  }
  std::int64_t rows = 0;
  for (const PlannedExample& planned : micro) {
    rows += planned.example->rows();
  }
  std::int64_t numbers = 0;
  for (const torch::Tensor& parameter : options_.trained) {
    numbers += parameter.numel();
  }
  return rows >= kLeastRows * threads && (threads - 1) * numbers <= kMostApart ? threads : 1;
}

// Multiplications: what precedes the last layer's output projection in all rows, the rest where a
// label follows.
double TrainPass::cost_of(const TrainExample& example) const {
  const DecoderConfig& config = model_->config();
  const auto hidden = static_cast<double>(config.hidden_size);
  const auto heads = static_cast<double>(config.num_heads * config.head_dim);
  const auto kv_heads = static_cast<double>(config.num_kv_heads * config.head_dim);
  const double inputs = hidden * (heads + 2 * kv_heads);
  const double rest = hidden * (heads + 3 * static_cast<double>(config.intermediate_size));
  const auto before = static_cast<double>(config.num_layers() - options_.first_layer - 1);
  return static_cast<double>(example.rows()) * (inputs + before * (inputs + rest)) +
         static_cast<double>(example.labels()) *
             (rest + hidden * static_cast<double>(config.vocab_size));
}

std::vector<TrainPass::Piece> TrainPass::pieces_of(const MicroBatch& micro) const {
  std::vector<Piece> pieces(static_cast<std::size_t>(piece_count(micro)));
  if (pieces.size() == 1) {
    pieces.front().examples = micro;
    return pieces;
  }
  // Those held to the base first, so that each piece has its share of them too; the largest first.
  MicroBatch ordered = micro;
  std::stable_sort(ordered.begin(), ordered.end(), [&](const auto& a, const auto& b) {
    const bool a_held = held_to_base(*a.example);
    const bool b_held = held_to_base(*b.example);
    return a_held != b_held ? a_held : cost_of(*a.example) > cost_of(*b.example);
  });
  auto shares = share_out(
      ordered, pieces.size(), [&](const TrainExample& example) { return cost_of(example); });
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    pieces[i].examples = std::move(shares[i]);
    if (i > 0) { // the first adds to the parameters' own gradients meanwhile
      pieces[i].sink = GradientSink(options_.trained);
    }
  }
  return pieces;
}

// The base's pass comes first: no graph of the trained model may see its weights swapped.
void TrainPass::run_base(std::vector<Piece>& pieces) {
  const bool any = std::any_of(pieces.begin(), pieces.end(), [&](const Piece& piece) {
    return std::any_of(piece.examples.begin(), piece.examples.end(), [&](const auto& planned) {
      return held_to_base(*planned.example);
    });
  });
  if (!any) {
    return;
  }
  ERRATA_CHECK(
      options_.use_base, ErrorCode::kInternal, "distilled examples need a way to run the base");
  const torch::NoGradGuard no_grad;
  const BaseScope base(options_.use_base);
  side_by_side(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
    Piece& piece = pieces[static_cast<std::size_t>(i)];
    piece.base = base_hidden_of(piece.examples);
  });
}

torch::Tensor TrainPass::base_hidden_of(const MicroBatch& micro) {
  MicroBatch held;
  std::copy_if(
      micro.begin(), micro.end(), std::back_inserter(held), [&](const PlannedExample& planned) {
        return held_to_base(*planned.example);
      });
  if (held.empty()) {
    return {};
  }
  const PackedBatch packed = pack_filled(held);
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < held.size(); ++i) {
    append_label_rows(*held[i].example, packed, i, rows);
  }
  fill(rows);
  return hidden_of(held, packed, to_device(rows, packed.ids.device()));
}

void TrainPass::run(Piece& piece, Scale scale, std::int64_t pieces) {
  const PackedBatch packed = pack_filled(piece.examples);
  const LabelTargets targets = targets_of(piece.examples, packed, scale);
  const torch::Tensor at_labels = hidden_of(piece.examples, packed, targets.rows);
  torch::Tensor gradient;
  const LabelLoss loss = output_layer_loss(
      model_, at_labels, piece.base, targets, gradient, piece.sink, kChunkLogits / pieces);
  if (at_labels.requires_grad()) { // else nothing but the output layer is trained
    piece.sink.backward(at_labels, gradient);
  }
  piece.loss = loss.cross_entropy + loss.kl;
}

TrainPass::Result TrainPass::accumulate(const StepBatch& batch) {
  if (!shared_out_) {
    shared_out_ = !options_.trained.empty() && model_->device().is_cpu() && model_->reentrant();
  }
  const Scale scale = scale_of(batch);
  Result result;
  for (const MicroBatch& micro : batch.micro) {
    for (const PlannedExample& planned : micro) {
      result.rows += planned.example->rows();
    }
    std::vector<Piece> pieces = pieces_of(micro);
    const auto count = static_cast<std::int64_t>(pieces.size());
    run_base(pieces);
    side_by_side(
        count, [&](std::int64_t i) { run(pieces[static_cast<std::size_t>(i)], scale, count); });
    for (const Piece& piece : pieces) {
      piece.sink.add_to_parameters();
      result.loss = result.loss.defined() ? result.loss + piece.loss : piece.loss;
    }
  }
  return result;
}

} // namespace errata
