// What a CUDA device computes is what the processor computes. Run where there is one.

#include "core/generation.h"
#include "core/packed_batch.h"
#include "core/scoring.h"
#include "tests/core/trainer_support.h"
#include "tests/support/reference_decoder.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_decoder.h"
#include "tests/support/tiny_griffin.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace errata {
namespace {

using testing_support::digest;
using testing_support::largest_difference;
using testing_support::random_decoder;
using testing_support::random_examples;
using testing_support::random_sequences;
using testing_support::RandomExamples;
using testing_support::ReferenceDecoder;
using testing_support::tiny_gemma3;
using testing_support::tiny_griffin;
using testing_support::tiny_llama;

std::vector<DecoderConfig> families() {
  return {tiny_gemma3(), tiny_llama(), tiny_griffin()};
}

Decoder on_cuda(const DecoderConfig& config, torch::Dtype dtype = torch::kFloat32) {
  Decoder model = random_decoder(config, dtype);
  model->to(torch::kCUDA);
  return model;
}

torch::Tensor logits_of(Decoder& model, const std::vector<Tokens>& texts) {
  const torch::NoGradGuard no_grad;
  return model->logits(model->hidden(pack(texts, model->device()))).cpu();
}

TEST(CudaTest, LogitsAreTheSame_CUDA) {
  for (const DecoderConfig& config : families()) {
    SCOPED_TRACE(config.model_type);
    const auto texts = random_sequences(9, 12, config.vocab_size);
    for (const auto& [dtype, tolerance] :
         {std::pair{torch::kFloat64, 1e-9}, {torch::kFloat32, 1e-3}, {torch::kBFloat16, 0.6}}) {
      Decoder here = random_decoder(config, dtype);
      Decoder there = on_cuda(config, dtype);
      EXPECT_EQ(there->device().type(), torch::kCUDA);
      EXPECT_LE(largest_difference(logits_of(there, texts), logits_of(here, texts)), tolerance)
          << torch::toString(dtype);
    }
  }
}

TEST(CudaTest, GenerationIsTheSame_CUDA) {
  for (const DecoderConfig& config : families()) {
    SCOPED_TRACE(config.model_type);
    auto prompts = random_sequences(23, 8, config.vocab_size);
    for (std::size_t i = 0; i < 9; ++i) { // a shared beginning
      prompts[i].insert(prompts[i].begin(), {2, 9, 14, 3, 3});
    }
    Decoder here = random_decoder(config);
    Decoder there = on_cuda(config, torch::kFloat64);
    GenerationOptions options;
    options.max_new_tokens = 9;
    options.max_batch = 4;
    options.eos = {generate(here, prompts, options)[0].tokens[4]};
    const auto expected = generate(here, prompts, options);
    const auto found = generate(there, prompts, options);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_EQ(found[i].tokens, expected[i].tokens) << "prompt " << i;
      EXPECT_EQ(found[i].finish, expected[i].finish);
    }
  }
}

TEST(CudaTest, ScoresAreTheSame_CUDA) {
  Decoder model = on_cuda(tiny_gemma3());
  const ReferenceDecoder reference(random_decoder(tiny_gemma3(), torch::kFloat32));
  const auto texts = random_sequences(15, 14, 29);
  const auto scores = score_tokens(model, texts, std::vector<std::int64_t>(texts.size(), 1));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto expected = reference.logprobs(texts[i]);
    ASSERT_EQ(scores[i].size(), expected.size());
    for (std::size_t k = 0; k < expected.size(); ++k) {
      EXPECT_NEAR(scores[i][k].logprob, expected[k], 1e-4);
    }
  }
  EXPECT_EQ(top_tokens(model, {4, 8, 1}, 2).size(), 3U);
}

// Every term of training that draws nothing: packing, the loss of tokens and of what is held to the
// base, the cache of what is frozen.
TEST(CudaTest, TrainingIsTheSame_CUDA) {
  // How far training moves a matrix.
  const auto moved = [](Decoder model, OptimizerKind kind) {
    TrainOptions options;
    options.epochs = 4;
    options.kl = 0.5;
    options.batch.batch_examples = 6;
    OptimizerOptions optimizer;
    optimizer.kind = kind;
    optimizer.lr = kind == OptimizerKind::kSgd ? 1.0 : 0.02;
    torch::Tensor weight = model->linears()[20].second->weight;
    const torch::Tensor before = weight.detach().cpu().clone();
    Trainer trainer(
        model, {{{{"a", model->linears()[16].second->weight}, {"b", weight}}, optimizer}}, options);
    trainer.set_first_layer(2);
    torch::Tensor own;
    trainer.set_base_switch([&](bool base) {
      if (base) {
        own = weight.variable_data();
      }
      weight.set_data(base ? before.to(own.device()) : own);
    });
    std::vector<TrainExample> examples = random_examples(20, 29);
    for (std::size_t i = 0; i < examples.size(); i += 4) {
      examples[i].distilled = true;
    }
    trainer.run(examples);
    return weight.detach().cpu() - before;
  };
  for (const OptimizerKind kind :
       {OptimizerKind::kAdamW, OptimizerKind::kSgd, OptimizerKind::kMuon}) {
    const torch::Tensor here = moved(random_decoder(tiny_gemma3(), torch::kFloat32), kind);
    const torch::Tensor there = moved(on_cuda(tiny_gemma3()), kind);
    EXPECT_GT(here.norm().item<double>(), 0.05) << to_string(kind);
    EXPECT_LE((there - here).norm().item<double>(), 0.02 * here.norm().item<double>())
        << to_string(kind);
  }
}

// Dropout, shuffling and a stream; interrupted and gone on with, it ends in the same bytes.
TEST(CudaTest, AResumedRunEndsInTheSameBytes_CUDA) {
  struct Stop {};
  const auto run = [](const std::filesystem::path& directory, std::int64_t stop_at) {
    Decoder model = on_cuda(tiny_gemma3());
    RandomExamples source(model->config().vocab_size);
    TrainOptions options = testing_support::disturbed_options(directory);
    options.checkpoint.every_steps = 1;
    {
      Trainer trainer(model, testing_support::muon_and_adamw(model), options);
      try {
        trainer.run(source, [&](const Progress& progress) {
          if (progress.done == stop_at) {
            throw Stop{};
          }
        });
      } catch (const Stop&) {
      }
    }
    return digest(model);
  };
  const std::string undisturbed = run({}, 0);
  EXPECT_EQ(run({}, 0), undisturbed);
  const testing_support::TemporaryDirectory directory;
  EXPECT_NE(run(directory.path(), 5), undisturbed);
  EXPECT_EQ(run(directory.path(), 0), undisturbed);
}

} // namespace
} // namespace errata
