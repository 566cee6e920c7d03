#include "editing/pretrain.h"

#include "core/base/error.h"
#include "core/device.h"
#include "editing/example.h"

#include <algorithm>
#include <cmath>

namespace errata::editing {
namespace {

constexpr double kLocalRopeBase = 10'000.0;
constexpr double kGlobalRopeBase = 1'000'000.0;

void require(bool fine, const char* name, std::int64_t value, const char* expected) {
  ERRATA_CHECK(
      fine, ErrorCode::kInvalidArgument, "--", name, " is ", value, "; expected ", expected);
}

// One of the two parts: the same documents go on where the first part stopped drawing them, the
// optimizer starts afresh.
struct Part {
  std::string name;
  double share = 0;
  double lr = 0;
  double dropout = 0;
  std::int64_t warmup = 0;
  double decay = 0;
  std::uint64_t stream_seed = 0;
};

std::vector<ParameterGroup> parameter_groups(Decoder& model, double lr) {
  std::vector<NamedTensor> named;
  for (const auto& item : model->named_parameters()) {
    named.emplace_back(item.key(), item.value());
  }
  OptimizerOptions matrices;
  matrices.kind = OptimizerKind::kMuon;
  matrices.lr = lr;
  matrices.weight_decay = 0.05;
  matrices.iteration_dtype = model->compute_dtype();
  OptimizerOptions others;
  others.kind = OptimizerKind::kAdamW;
  others.lr = lr;
  others.beta2 = 0.95;
  others.weight_decay = 0.01;
  return split_parameters(named, matrices, others);
}

TrainOptions train_options(const PretrainTraining& training, const Part& part) {
  TrainOptions options;
  const double tokens = static_cast<double>(training.tokens) * part.share;
  options.steps =
      std::max<std::int64_t>(1, std::llround(tokens / static_cast<double>(training.batch_tokens)));
  options.batch.batch_tokens = training.batch_tokens;
  options.batch.micro_tokens = std::min<std::int64_t>(training.batch_tokens, 3072);
  options.batch.seed = training.seed;
  options.schedule.kind = Schedule::kLinear;
  options.schedule.warmup = std::min(part.warmup, std::max<std::int64_t>(1, options.steps / 4));
  options.schedule.decay = part.decay;
  options.schedule.floor = 0.01;
  options.residual_dropout = part.dropout;
  options.seed = training.seed;
  options.context = training.context;
  options.checkpoint = training.checkpoint;
  if (!options.checkpoint.directory.empty()) {
    options.checkpoint.directory /= part.name;
  }
  return options;
}

TrainReport train_part(
    Decoder& model,
    const Tokenizer& tokenizer,
    const PretrainPlan& plan,
    const Wordings& wordings,
    const PretrainTraining& training,
    const Part& part,
    const ProgressCallback& progress) {
  const auto documents = pretrain_documents(plan, wordings, part.stream_seed);
  DocumentExamples examples(*documents, tokenizer);
  Trainer trainer(model, parameter_groups(model, part.lr), train_options(training, part));
  return trainer.run(examples, [&](Progress step) {
    step.what += concat(", ", part.name); // so that each part has a rate of its own
    report(progress, step);
  });
}

} // namespace

DecoderConfig lab_config(const LabShape& shape) {
  require(
      shape.head_dim > 0 && shape.head_dim % 2 == 0, "head-dim", shape.head_dim, "an even number");
  require(
      shape.hidden >= shape.head_dim && shape.hidden % shape.head_dim == 0,
      "hidden",
      shape.hidden,
      "a multiple of the head size");
  require(shape.layers > 0 && shape.layers <= 64, "layers", shape.layers, "1 to 64");
  require(shape.vocab >= 300, "vocab", shape.vocab, "at least 300 (256 are bytes)");
  DecoderConfig config;
  config.model_type = "gemma3_text";
  config.vocab_size = shape.vocab;
  config.hidden_size = shape.hidden;
  config.intermediate_size = shape.intermediate > 0 ? shape.intermediate : 4 * shape.hidden;
  config.head_dim = shape.head_dim;
  config.num_heads = shape.hidden / shape.head_dim;
  config.num_kv_heads = config.num_heads % 2 == 0 ? config.num_heads / 2 : config.num_heads;
  config.max_positions = shape.max_positions;
  config.query_scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  config.embedding_scale = std::sqrt(static_cast<double>(shape.hidden));
  config.norm_adds_one = true;
  config.sandwich_norms = true;
  config.qk_norm = true;
  config.tie_word_embeddings = true;
  config.activation = Activation::kGeluTanh;
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const bool global = (i + 1) % shape.global_every == 0;
    LayerConfig layer;
    layer.window = global ? 0 : shape.window;
    layer.rope.base = global ? kGlobalRopeBase : kLocalRopeBase;
    config.layers.push_back(layer);
  }
  return config;
}

PretrainReport pretrain(
    Decoder& model,
    const Tokenizer& tokenizer,
    const PretrainPlan& plan,
    const Wordings& wordings,
    const PretrainTraining& training,
    const ProgressCallback& progress) {
  require(training.tokens > 0, "tokens", training.tokens, "a positive number");
  ERRATA_CHECK(
      training.dropout_share >= 0 && training.dropout_share < 1,
      ErrorCode::kInvalidArgument,
      "--dropout-share is ",
      training.dropout_share,
      "; expected a share from 0 to below 1");
  PretrainReport report;
  const Part plain{"plain", 1 - training.dropout_share, training.lr, 0, 40, 0.6, training.seed};
  report.plain = train_part(model, tokenizer, plan, wordings, training, plain, progress);
  if (training.dropout_share > 0) {
    const Part regularised{
        "dropout",
        training.dropout_share,
        training.dropout_lr,
        training.dropout,
        8,
        1.0,
        training.seed + 1};
    report.regularised =
        train_part(model, tokenizer, plan, wordings, training, regularised, progress);
  }
  return report;
}

} // namespace errata::editing
