#pragma once

#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/trainer.h"
#include "tests/support/tiny_decoder.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace errata::testing_support {

/// `count` random examples, every third one of rehearsal, some with a weight.
inline std::vector<TrainExample> random_examples(
    std::size_t count, std::int64_t vocab, std::uint64_t seed = 5) {
  Random random(seed);
  std::vector<TrainExample> examples(count);
  for (std::size_t i = 0; i < count; ++i) {
    TrainExample& example = examples[i];
    example.tokens.resize(4 + random.index(7));
    for (std::int32_t& token : example.tokens) {
      token = static_cast<std::int32_t>(random.index(static_cast<std::size_t>(vocab)));
    }
    example.first_label = static_cast<std::int64_t>(1 + random.index(3));
    example.rehearsal = i % 3 == 0;
    example.weight = i % 4 == 0 ? 0.5 : 1.0;
  }
  return examples;
}

/// An endless stream of random examples.
class RandomExamples final : public ExampleSource {
 public:
  explicit RandomExamples(std::int64_t vocab) : vocab_(vocab) {}
  TrainExample next() override { return random_examples(1, vocab_, ++drawn)[0]; }

  std::uint64_t drawn = 0;

 private:
  std::int64_t vocab_;
};

inline std::vector<NamedTensor> named(Decoder& model) {
  std::vector<NamedTensor> parameters;
  for (const auto& item : model->named_parameters()) {
    parameters.emplace_back(item.key(), item.value());
  }
  return parameters;
}

inline std::vector<ParameterGroup> muon_and_adamw(Decoder& model) {
  OptimizerOptions muon;
  muon.kind = OptimizerKind::kMuon;
  muon.lr = 2e-3;
  OptimizerOptions adamw;
  adamw.lr = 2e-3;
  return split_parameters(named(model), muon, adamw);
}

/// SHA-256 over all parameters' bytes.
inline std::string digest(Decoder& model) {
  Sha256 hash;
  for (const torch::Tensor& parameter : model->parameters()) {
    const torch::Tensor bytes = parameter.detach().cpu().contiguous();
    hash.update(std::span(
        static_cast<const std::byte*>(bytes.data_ptr()), static_cast<std::size_t>(bytes.nbytes())));
  }
  return hash.hex_digest();
}

/// A whole-model run with everything random in it that training has: dropout, shuffling, a stream.
inline TrainOptions disturbed_options(const std::filesystem::path& directory) {
  TrainOptions options;
  options.steps = 12;
  options.batch.batch_tokens = 60;
  options.batch.micro_tokens = 30;
  options.batch.pool = 20;
  options.schedule.warmup = 3;
  options.residual_dropout = 0.2;
  options.seed = 11;
  options.checkpoint.directory = directory;
  options.checkpoint.every_steps = 2;
  options.checkpoint.resume = true;
  return options;
}

/// Trains a fresh tiny model to the end, from a checkpoint when there is one; its digest.
inline std::string train_to_end(
    const TrainOptions& options, const ProgressCallback& progress = {}) {
  Decoder model = random_decoder(tiny_gemma3(), torch::kFloat32);
  RandomExamples source(model->config().vocab_size);
  {
    Trainer trainer(model, muon_and_adamw(model), options);
    trainer.run(source, progress);
  }
  return digest(model);
}

} // namespace errata::testing_support
