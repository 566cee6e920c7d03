// Rates of the decoder on the lab model's shape. The training rate counts six operations for each
// weight of the linear layers and token, so it is comparable with the machine's matmul rate, which
// the first benchmark measures.
#include "core/decoder.h"
#include "core/device.h"
#include "core/generation.h"
#include "core/torch.h"
#include "tests/bench/lab_decoder.h"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

namespace errata {
namespace {

using bench::lab_decoder;
using bench::sequences;

void matmul(benchmark::State& state) {
  const torch::Tensor a = torch::randn({4096, 256});
  const torch::Tensor b = torch::randn({256, 1024});
  torch::Tensor c = torch::empty({4096, 1024});
  double operations = 0;
  for (auto _ : state) {
    torch::mm_out(c, a, b);
    operations += 2.0 * 4096 * 256 * 1024;
  }
  state.counters["GFLOP/s"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsRate);
}
BENCHMARK(matmul)->Unit(benchmark::kMillisecond)->UseRealTime();

// Forward and backward through the layers, without the output head.
void train_layers(benchmark::State& state) {
  Decoder model = lab_decoder();
  const PackedBatch batch = pack(sequences(4096, 20, 21));
  const torch::Tensor gradient = torch::randn({batch.rows(), 256});
  double weights = 0;
  for (const auto& [name, linear] : model->linears()) {
    weights += static_cast<double>(linear->weight.numel());
  }
  double rows = 0;
  for (auto _ : state) {
    model->hidden(batch).backward(gradient);
    model->zero_grad();
    rows += static_cast<double>(batch.rows());
  }
  state.counters["tokens/s"] = benchmark::Counter(rows, benchmark::Counter::kIsRate);
  state.counters["GFLOP/s"] =
      benchmark::Counter(6e-9 * rows * weights, benchmark::Counter::kIsRate);
}
BENCHMARK(train_layers)->Unit(benchmark::kMillisecond)->UseRealTime();

void generate_answers(benchmark::State& state) {
  Decoder model = lab_decoder();
  const auto prompts = sequences(16 * 1000, 12, 9);
  GenerationOptions options;
  options.max_new_tokens = 16;
  options.max_batch = state.range(0);
  double tokens = 0;
  for (auto _ : state) {
    for (const Generation& result : generate(model, prompts, options)) {
      tokens += static_cast<double>(result.tokens.size());
    }
  }
  state.counters["tokens/s"] = benchmark::Counter(tokens, benchmark::Counter::kIsRate);
}
BENCHMARK(generate_answers)
    ->Arg(64)
    ->Arg(256)
    ->Arg(1024)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

} // namespace
} // namespace errata

int main(int argc, char** argv) {
  errata::configure_runtime(0);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
