// What each way of not computing buys in a training step on the lab model's shape: packing instead
// of padding, logits at labels only, what several sequences begin with and states below the first
// trainable layer computed once. That none of them changes a result is tested in
// tests/core/train_pass_test.cpp and decoder_test.cpp. Compare rates within one run.
#include "core/base/random.h"
#include "core/decoder.h"
#include "core/device.h"
#include "core/label_loss.h"
#include "core/torch.h"
#include "core/train_pass.h"
#include "tests/bench/lab_decoder.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace errata {
namespace {

constexpr std::int64_t kTokens = 4096;
constexpr std::int64_t kLabels = 5;
constexpr std::int64_t kTemplate = 9;

// As edits are: most of a sequence is the prompt, lengths differ by a factor of three.
std::vector<Tokens> edit_like_sequences() {
  return bench::sequences(kTokens, /*least=*/14, /*spread=*/29);
}

/// Sequences that a step goes through, and the rows at which they are judged.
struct Step {
  PackedBatch batch;
  LabelTargets targets;
};

Step make_step(
    std::vector<Tokens> sequences, bool padded, bool logits_everywhere, bool share_prefixes) {
  std::vector<std::int64_t> length;
  std::size_t longest = 0;
  for (const Tokens& tokens : sequences) {
    length.push_back(static_cast<std::int64_t>(tokens.size()));
    longest = std::max(longest, tokens.size());
  }
  for (Tokens& tokens : sequences) {
    tokens.resize(padded ? longest : tokens.size());
  }
  Step step;
  step.batch = pack(sequences);
  if (share_prefixes) {
    step.batch.share_prefixes();
  }
  torch::Tensor weights = torch::zeros({step.batch.rows()});
  std::vector<std::int64_t> labelled;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    for (std::int64_t t = length[i] - kLabels; t < length[i]; ++t) {
      labelled.push_back(step.batch.row_of(i, t));
    }
  }
  const torch::Tensor rows = torch::tensor(labelled);
  weights.index_fill_(0, rows, 1.0 / static_cast<double>(labelled.size()));
  step.targets.rows = logits_everywhere ? torch::arange(step.batch.rows()) : rows;
  step.targets.weights = weights.index_select(0, step.targets.rows);
  step.targets.labels = torch::zeros_like(step.targets.rows);
  return step;
}

// Forward and backward of all weights; tokens that are no padding are counted.
void run_steps(
    benchmark::State& state,
    const std::vector<Tokens>& sequences,
    const Step& step,
    bool whole_layer) {
  Decoder model = bench::lab_decoder(parse_dtype("auto", torch::kCPU));
  double tokens = 0;
  for (auto _ : state) {
    const torch::Tensor at = whole_layer
                                 ? model->hidden(step.batch).index_select(0, step.targets.rows)
                                 : model->hidden(step.batch, step.targets.rows);
    torch::Tensor gradient;
    GradientSink sink;
    output_layer_loss(model, at, {}, step.targets, gradient, sink);
    at.backward(gradient);
    model->zero_grad();
    for (const Tokens& sequence : sequences) {
      tokens += static_cast<double>(sequence.size());
    }
  }
  state.counters["tokens/s"] = benchmark::Counter(tokens, benchmark::Counter::kIsRate);
}

void train_step(benchmark::State& state) {
  const std::vector<Tokens> sequences = edit_like_sequences();
  const Step step = make_step(sequences, state.range(0) != 0, state.range(1) != 0, false);
  run_steps(state, sequences, step, state.range(2) != 0);
}
BENCHMARK(train_step)
    ->ArgNames({"padded", "logits_everywhere", "whole_last_layer"})
    ->Args({0, 0, 0})
    ->Args({0, 0, 1})
    ->Args({1, 0, 1})
    ->Args({0, 1, 1})
    ->Args({1, 1, 1})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// Edits of one template: nine tokens, of 14 to 42, are the same in all.
void train_template(benchmark::State& state) {
  std::vector<Tokens> sequences = edit_like_sequences();
  for (Tokens& tokens : sequences) {
    std::fill_n(tokens.begin(), kTemplate, 7);
  }
  run_steps(state, sequences, make_step(sequences, false, false, state.range(0) != 0), false);
}
BENCHMARK(train_template)
    ->ArgName("shared")
    ->Arg(1)
    ->Arg(0)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// The last layer is trained; the cache is filled before the clock starts, as in the second epoch.
void train_last_layer(benchmark::State& state) {
  Decoder model = bench::lab_decoder(parse_dtype("auto", torch::kCPU));
  const std::int64_t last = model->config().num_layers() - 1;
  std::vector<torch::Tensor> trained;
  for (auto& item : model->named_parameters()) {
    const std::string layer = concat("model.layers.", last, ".");
    item.value().requires_grad_(item.key().rfind(layer, 0) == 0);
    if (item.value().requires_grad()) {
      trained.push_back(item.value());
    }
  }
  if (state.range(1) == 0) {
    trained.clear(); // threads share each operator instead of the examples
  }
  std::vector<std::shared_ptr<const TrainExample>> examples;
  StepBatch batch;
  batch.micro.emplace_back();
  for (Tokens& tokens : edit_like_sequences()) {
    TrainExample example;
    example.first_label = static_cast<std::int64_t>(tokens.size()) - kLabels;
    example.tokens = std::move(tokens);
    examples.push_back(std::make_shared<const TrainExample>(std::move(example)));
    batch.micro.front().push_back({examples.back(), std::ssize(examples) - 1});
  }
  TrainPass pass(model, {last, LossMean::kTokens, 0.0, {}, trained});
  if (state.range(0) != 0) {
    pass.cache_prefix(examples, std::uint64_t{1} << 30);
  }
  double tokens = 0;
  for (auto _ : state) {
    tokens += static_cast<double>(pass.accumulate(batch).rows);
    model->zero_grad();
  }
  state.counters["tokens/s"] = benchmark::Counter(tokens, benchmark::Counter::kIsRate);
}
BENCHMARK(train_last_layer)
    ->ArgNames({"prefix_cache", "shared_out"})
    ->Args({1, 1})
    ->Args({1, 0})
    ->Args({0, 1})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

} // namespace
} // namespace errata
