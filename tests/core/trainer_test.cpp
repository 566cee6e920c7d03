#include "core/trainer.h"

#include "core/base/files.h"
#include "core/base/interrupt.h"
#include "tests/core/trainer_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace errata {
namespace {

using testing_support::digest;
using testing_support::disturbed_options;
using testing_support::expect_error;
using testing_support::muon_and_adamw;
using testing_support::named;
using testing_support::random_decoder;
using testing_support::random_examples;
using testing_support::RandomExamples;
using testing_support::TemporaryDirectory;
using testing_support::tiny_gemma3;
using testing_support::train_to_end;

class TrainerTest : public testing_support::SeedingTest {};

struct Stop {}; // thrown from the progress callback: the process is gone

TEST_F(TrainerTest, LearnsAFiniteSet) {
  Decoder model = random_decoder(tiny_gemma3(), torch::kFloat32, 0.2);
  TrainOptions options;
  options.epochs = 60;
  options.batch.batch_examples = 4;
  options.schedule.warmup = 5;
  OptimizerOptions adamw;
  adamw.lr = 1e-2;
  std::vector<double> losses;
  Trainer trainer(model, {{named(model), adamw}}, options);
  const TrainReport report = trainer.run(random_examples(8, 29), [&](const Progress& progress) {
    EXPECT_EQ(progress.total, 120);
    EXPECT_EQ(progress.unit, "steps");
    EXPECT_THAT(progress.detail, testing::HasSubstr("tokens/s"));
  });
  EXPECT_EQ(report.steps, 120);
  EXPECT_LT(report.loss, 0.5);
  EXPECT_EQ(report.skipped, 0);
  std::int64_t rows = 0;
  for (const TrainExample& example : random_examples(8, 29)) {
    rows += example.rows();
  }
  EXPECT_EQ(report.tokens, 60 * rows);
}

TEST_F(TrainerTest, TwoRunsGiveTheSameBytes) {
  EXPECT_EQ(train_to_end(disturbed_options({})), train_to_end(disturbed_options({})));
  TrainOptions other = disturbed_options({});
  other.seed = 12; // dropout
  EXPECT_NE(train_to_end(other), train_to_end(disturbed_options({})));
}

TEST_F(TrainerTest, AKilledRunResumesToTheSameBytes) {
  const std::string undisturbed = train_to_end(disturbed_options({}));
  for (const std::int64_t step : {1, 2, 5, 11, 12}) {
    const TemporaryDirectory directory;
    const auto stop = [&](const Progress& progress) {
      if (progress.done == step) {
        throw Stop{};
      }
    };
    EXPECT_THROW(train_to_end(disturbed_options(directory.path()), stop), Stop);
    EXPECT_EQ(std::filesystem::exists(directory / "state.safetensors"), step > 2) << step;
    torch::manual_seed(99);
    EXPECT_EQ(train_to_end(disturbed_options(directory.path())), undisturbed) << "step " << step;
    // The finished state stays: once more does nothing and ends the same.
    const auto fail = [](const Progress&) { FAIL() << "trained again"; };
    EXPECT_EQ(train_to_end(disturbed_options(directory.path()), fail), undisturbed);
  }
}

TEST_F(TrainerTest, AnInterruptKeepsTheStateAndResumes) {
  const std::string undisturbed = train_to_end(disturbed_options({}));
  const TemporaryDirectory directory;
  TrainOptions options = disturbed_options(directory.path());
  options.checkpoint.every_steps = 0;
  options.checkpoint.every_seconds = 0;
  const auto interrupt = [](const Progress& progress) { set_interrupted(progress.done == 5); };
  expect_error(
      ErrorCode::kInterrupted, {"after step 5 of 12", directory.path().string(), "--resume"}, [&] {
        train_to_end(options, interrupt);
      });
  set_interrupted(false);
  EXPECT_EQ(train_to_end(options), undisturbed);
}

TEST_F(TrainerTest, ResumingWithOtherOptionsIsRefusedAndNamed) {
  const TemporaryDirectory directory;
  TrainOptions options = disturbed_options(directory.path());
  train_to_end(options);
  options.steps = 13;
  expect_error(ErrorCode::kInvalidArgument, {"had steps 12", "has 13", "--resume"}, [&] {
    train_to_end(options);
  });
  options = disturbed_options(directory.path());
  options.context["data"] = "abc";
  expect_error(
      ErrorCode::kInvalidArgument, {"had data unset", "abc"}, [&] { train_to_end(options); });
  options = disturbed_options(directory.path());
  Decoder other = random_decoder(testing_support::tiny_llama(), torch::kFloat32);
  RandomExamples source(29);
  Trainer trainer(other, muon_and_adamw(other), options);
  expect_error(ErrorCode::kInvalidArgument, {"other parameters"}, [&] { trainer.run(source); });
}

TEST_F(TrainerTest, ADamagedCheckpointIsCorrupt) {
  const TemporaryDirectory directory;
  const TrainOptions options = disturbed_options(directory.path());
  train_to_end(options);
  const std::string bytes = read_file(directory / "state.safetensors");
  write_file(directory / "state.safetensors", bytes.substr(0, bytes.size() / 2));
  expect_error(ErrorCode::kCorrupt, {"state.safetensors"}, [&] { train_to_end(options); });
}

TEST_F(TrainerTest, WithoutResumeAnOldCheckpointIsIgnored) {
  const TemporaryDirectory directory;
  TrainOptions options = disturbed_options(directory.path());
  train_to_end(options);
  options.checkpoint.resume = false;
  options.steps = 13;
  EXPECT_EQ(train_to_end(options), [&] {
    TrainOptions fresh = disturbed_options({});
    fresh.steps = 13;
    return train_to_end(fresh);
  }());
}

TEST_F(TrainerTest, ResumesWithinAnEpoch) {
  const auto run = [](const std::filesystem::path& directory, std::int64_t stop_at) {
    Decoder model = random_decoder(tiny_gemma3(), torch::kFloat32);
    TrainOptions options;
    options.epochs = 3;
    options.batch.batch_examples = 4;
    options.checkpoint.directory = directory;
    options.checkpoint.every_steps = 1;
    options.checkpoint.resume = true;
    {
      Trainer trainer(
          model, {{{{"w", model->linears()[20].second->weight}}, OptimizerOptions{}}}, options);
      trainer.set_first_layer(2);
      try {
        trainer.run(random_examples(10, 29), [&](const Progress& progress) {
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
  for (const std::int64_t stop_at : {2, 4, 7}) {
    const TemporaryDirectory directory;
    EXPECT_NE(run(directory.path(), stop_at), undisturbed);
    EXPECT_EQ(run(directory.path(), 0), undisturbed);
  }
}

TEST_F(TrainerTest, OnlyTheGivenParametersMove) {
  Decoder model = random_decoder(tiny_gemma3(), torch::kFloat32);
  const std::string trained = "model.layers.2.mlp.down_proj.weight";
  std::map<std::string, torch::Tensor> before;
  for (const auto& [name, parameter] : named(model)) {
    before[name] = parameter.detach().clone();
    parameter.set_requires_grad(name == "model.norm.weight");
  }
  TrainOptions options;
  options.steps = 3;
  options.batch.batch_tokens = 50;
  options.batch.pool = 10;
  {
    RandomExamples source(29);
    Trainer trainer(
        model, {{{{trained, model->named_parameters()[trained]}}, OptimizerOptions{}}}, options);
    trainer.set_first_layer(2);
    const TrainReport report = trainer.run(source);
    EXPECT_EQ(report.trainable_parameters, 10 * 14);
  }
  for (const auto& [name, parameter] : named(model)) {
    EXPECT_EQ(torch::equal(parameter, before[name]), name != trained) << name;
    EXPECT_EQ(parameter.requires_grad(), name == "model.norm.weight") << name;
    EXPECT_FALSE(parameter.grad().defined()) << name;
  }
}

TEST_F(TrainerTest, EarlyStopSkipsStepsAndEndsWithTheEpoch) {
  Decoder model = random_decoder(tiny_gemma3(), torch::kFloat32);
  const std::string before = digest(model);
  TrainOptions options;
  options.epochs = 5;
  options.batch.batch_examples = 3;
  options.early_stop = 1e6; // every loss is below
  {
    Trainer trainer(model, muon_and_adamw(model), options);
    const TrainReport report = trainer.run(random_examples(9, 29));
    EXPECT_EQ(report.steps, 3);
    EXPECT_EQ(report.skipped, 3);
    EXPECT_TRUE(report.stopped_early);
  }
  EXPECT_EQ(digest(model), before);
}

TEST_F(TrainerTest, DivergenceIsReported) {
  Decoder model = random_decoder(tiny_gemma3(), torch::kFloat32);
  {
    const torch::NoGradGuard no_grad;
    model->linears()[0].second->weight.fill_(NAN);
  }
  TrainOptions options;
  options.steps = 3;
  RandomExamples source(29);
  Trainer trainer(model, muon_and_adamw(model), options);
  expect_error(
      ErrorCode::kInvalidArgument, {"diverged", "learning rate"}, [&] { trainer.run(source); });
}

TEST_F(TrainerTest, OptionsOutOfRangeAreNamed) {
  const auto refuse = [](const std::function<void(TrainOptions&)>& change, const char* part) {
    TrainOptions options;
    options.steps = 1;
    change(options);
    expect_error(ErrorCode::kInvalidArgument, {part}, [&] { validate(options); });
  };
  refuse([](auto& o) { o.epochs = 1; }, "exactly one");
  refuse([](auto& o) { o.steps = 0; }, "exactly one");
  refuse([](auto& o) { o.grad_clip = -1; }, "gradient clip");
  refuse([](auto& o) { o.residual_dropout = 1; }, "dropout");
  refuse([](auto& o) { o.kl = NAN; }, "kl");
  refuse([](auto& o) { o.batch.micro_tokens = 0; }, "batch size");
}

TEST_F(TrainerTest, HooksSeeClippedGradientsAndTheSchedule) {
  struct Watch final : TrainHook {
    std::vector<double>& norms;
    std::vector<double>& factors;
    Watch(std::vector<double>& n, std::vector<double>& f) : norms(n), factors(f) {}
    void before_update(FlatParameters& parameters) override {
      norms.push_back(parameters.gradients().norm().item<double>());
    }
    void after_update(FlatParameters&, double factor) override { factors.push_back(factor); }
  };
  Decoder model = random_decoder(tiny_gemma3(), torch::kFloat32);
  TrainOptions options;
  options.steps = 4;
  options.grad_clip = 0.01;
  options.schedule.warmup = 2;
  std::vector<double> norms;
  std::vector<double> factors;
  RandomExamples source(29);
  Trainer trainer(model, muon_and_adamw(model), options);
  trainer.add_hook(std::make_unique<Watch>(norms, factors));
  trainer.run(source);
  EXPECT_THAT(norms, testing::Each(testing::DoubleNear(0.01, 1e-5)));
  EXPECT_THAT(
      factors, testing::Pointwise(testing::DoubleEq(), std::vector<double>{0.5, 0.75, 0.5, 0.25}));
}

} // namespace
} // namespace errata
