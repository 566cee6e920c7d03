#include "core/train_pass.h"

#include "tests/core/trainer_support.h"
#include "tests/support/seeding_test.h"
#include "tests/support/threads.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::largest_difference;
using testing_support::random_decoder;
using testing_support::random_examples;

class TrainPassTest : public testing_support::SeedingTest {
 protected:
  TrainPassTest() {
    for (TrainExample& example : random_examples(9, model->config().vocab_size)) {
      example.distilled = examples.size() % 4 == 2;
      if (examples.size() % 3 != 0) { // labels among what several begin with, too
        std::copy_n(examples.back()->tokens.begin(), 3, example.tokens.begin());
      }
      examples.push_back(std::make_shared<const TrainExample>(std::move(example)));
    }
    for (torch::Tensor& parameter : model->parameters()) {
      parameter.requires_grad_(false);
    }
  }

  StepBatch batch(std::size_t pieces) const {
    StepBatch step;
    step.micro.resize(pieces);
    for (std::size_t i = 0; i < examples.size(); ++i) {
      step.micro[i % pieces].push_back({examples[i], static_cast<std::int64_t>(i)});
    }
    return step;
  }

  // Trains layers [first, end): gradients of those parameters, and the loss.
  std::pair<double, std::vector<torch::Tensor>> gradients(
      TrainPass& pass, std::size_t pieces, std::int64_t first) {
    std::vector<torch::Tensor> trained;
    for (const auto& item : model->named_parameters()) {
      for (std::int64_t layer = first; layer < model->config().num_layers(); ++layer) {
        if (item.key().rfind(concat("model.layers.", layer, "."), 0) == 0) {
          trained.push_back(item.value());
          trained.back().requires_grad_(true);
          trained.back().mutable_grad().reset();
        }
      }
    }
    const double loss = pass.accumulate(batch(pieces)).loss.item<double>();
    std::vector<torch::Tensor> found;
    for (torch::Tensor& parameter : trained) {
      found.push_back(parameter.grad().clone());
      parameter.requires_grad_(false);
    }
    return {loss, found};
  }

  // The loss of a step, one sequence at a time from full logits.
  double expected_loss(LossMean mean, double kl) {
    const torch::NoGradGuard no_grad;
    double sum = 0;
    double weight = 0;
    double divergence = 0;
    double held = 0;
    for (const auto& example : examples) {
      const std::vector<std::vector<std::int32_t>> one{example->tokens};
      const auto log_p = [&] {
        return torch::log_softmax(model->logits(model->hidden(pack(one))), 1);
      };
      const torch::Tensor p = log_p();
      use_base(true);
      const torch::Tensor q = log_p();
      use_base(false);
      double own = 0;
      for (std::int64_t t = example->first_label; t <= example->rows(); ++t) {
        const double kl_row = (q[t - 1].exp() * (q[t - 1] - p[t - 1])).sum().item<double>();
        const auto token = static_cast<std::int64_t>(example->tokens[static_cast<std::size_t>(t)]);
        own += example->distilled ? kl_row : -p[t - 1][token].item<double>();
        if (example->rehearsal && !example->distilled) {
          divergence += kl_row;
          held += 1;
        }
      }
      const auto labels = static_cast<double>(example->labels());
      sum += example->weight * (mean == LossMean::kTokens ? own : own / labels);
      weight += example->weight * (mean == LossMean::kTokens ? labels : 1.0);
    }
    return sum / weight + (held > 0 ? kl * divergence / held : 0.0);
  }

  // Stands in for an edit: the base has another up_proj in the last layer.
  void use_base(bool base) {
    if (base) {
      own_up = up->weight.variable_data();
      up->weight.set_data(base_up);
    } else {
      up->weight.set_data(own_up);
    }
  }

  Decoder model = random_decoder(testing_support::tiny_gemma3());
  std::vector<std::shared_ptr<const TrainExample>> examples;
  Linear up = model->linears()[5 + 7 * 2].second;
  torch::Tensor base_up = up->weight.detach() + 0.1;
  torch::Tensor own_up;
};

void expect_same(
    const std::pair<double, std::vector<torch::Tensor>>& a,
    const std::pair<double, std::vector<torch::Tensor>>& b,
    double tolerance) {
  EXPECT_NEAR(a.first, b.first, tolerance);
  ASSERT_EQ(a.second.size(), b.second.size());
  for (std::size_t i = 0; i < a.second.size(); ++i) {
    EXPECT_LT(largest_difference(a.second[i], b.second[i]), tolerance) << "parameter " << i;
  }
}

TEST_F(TrainPassTest, ExamplesShareWhatTheyBeginWith) {
  MicroBatch micro;
  for (const auto& example : examples) {
    micro.push_back({example, -1});
  }
  const PackedBatch packed = pack_shared(micro, *model);
  EXPECT_LE(packed.rows(), pack_examples(micro, torch::kCPU).rows() - 6 * 3);
}

TEST_F(TrainPassTest, LossIsTheMeanOverLabelsOfSequencesOnTheirOwn) {
  for (const LossMean mean : {LossMean::kTokens, LossMean::kExamples}) {
    TrainPass pass(model, {0, mean, 0.7, [this](bool base) { use_base(base); }});
    // Weights travel in float32.
    EXPECT_NEAR(gradients(pass, 1, 0).first, expected_loss(mean, 0.7), 1e-6);
    EXPECT_NEAR(gradients(pass, 4, 0).first, expected_loss(mean, 0.7), 1e-6);
  }
}

TEST_F(TrainPassTest, GradientMatchesFiniteDifferencesWithDivergence) {
  TrainPass pass(model, {2, LossMean::kTokens, 0.7, [this](bool base) { use_base(base); }});
  torch::Tensor parameter = up->weight;
  parameter.requires_grad_(true);
  pass.accumulate(batch(2));
  const torch::Tensor gradient = parameter.grad().clone();
  parameter.requires_grad_(false);
  auto* values = parameter.data_ptr<double>();
  constexpr double kStep = 1e-5;
  for (std::int64_t i = 0; i < parameter.numel(); i += 7) {
    const double kept = values[i];
    values[i] = kept + kStep;
    const double above = expected_loss(LossMean::kTokens, 0.7);
    values[i] = kept - kStep;
    const double below = expected_loss(LossMean::kTokens, 0.7);
    values[i] = kept;
    EXPECT_NEAR(gradient.data_ptr<double>()[i], (above - below) / (2 * kStep), 1e-6)
        << "element " << i;
  }
}

// Distilled examples need no KL term, and a model that is the base has nothing to learn from them.
TEST_F(TrainPassTest, DistillationEndsAtTheBase) {
  std::erase_if(examples, [](const auto& example) { return !example->distilled; });
  ASSERT_GE(examples.size(), 2U);
  TrainPass apart(model, {0, LossMean::kTokens, 0.0, [this](bool base) { use_base(base); }});
  EXPECT_GT(gradients(apart, 1, 0).first, 1e-4);
  EXPECT_NEAR(gradients(apart, 1, 0).first, expected_loss(LossMean::kTokens, 0.0), 1e-6);
  TrainPass at_base(model, {0, LossMean::kTokens, 0.0, [](bool) {}});
  const auto [loss, found] = gradients(at_base, 1, 0);
  EXPECT_NEAR(loss, 0, 1e-12);
  for (const torch::Tensor& gradient : found) {
    EXPECT_LT(gradient.abs().max().item<double>(), 1e-12);
  }
  TrainPass without(model, {0, LossMean::kTokens, 0.0, {}});
  EXPECT_THROW(without.accumulate(batch(1)), Error);
}

// In bfloat16 rows and labels are filled up, apart for what is held to the base: none of it counts.
TEST_F(TrainPassTest, FilledLabelsCountNothing) {
  model->to(torch::kFloat32);
  model->set_compute_dtype(torch::kFloat32);
  base_up = base_up.to(torch::kFloat32);
  TrainPass pass(model, {0, LossMean::kTokens, 0.7, [this](bool base) { use_base(base); }});
  const auto exact = gradients(pass, 2, 0);
  model->set_compute_dtype(torch::kBFloat16);
  const auto filled = gradients(pass, 2, 0);
  EXPECT_NEAR(filled.first, exact.first, 0.02 * exact.first);
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < exact.second.size(); ++i) {
    difference += (filled.second[i] - exact.second[i]).square().sum().item<double>();
    size += exact.second[i].square().sum().item<double>();
  }
  EXPECT_LT(std::sqrt(difference), 0.1 * std::sqrt(size));
  EXPECT_EQ(pass.accumulate(batch(1)).rows, pass.accumulate(batch(3)).rows); // fillers apart
}

// Everything is trained, the tied embedding among it, which the output layer reaches too.
TEST_F(TrainPassTest, ThreadsShareOutAPass) {
  const testing_support::ThreadsScope threads(3);
  for (TrainExample& example : random_examples(160, model->config().vocab_size, 9)) {
    examples.push_back(std::make_shared<const TrainExample>(std::move(example)));
  }
  std::vector<torch::Tensor> trained;
  for (torch::Tensor& parameter : model->parameters()) {
    trained.push_back(parameter.requires_grad_(true));
  }
  const auto result = [&](std::vector<torch::Tensor> shared, std::size_t micro) {
    TrainPass pass(
        model,
        {0, LossMean::kTokens, 0.5, [this](bool base) { use_base(base); }, std::move(shared)});
    const double loss = pass.accumulate(batch(micro)).loss.item<double>();
    std::vector<torch::Tensor> found;
    for (torch::Tensor& parameter : trained) {
      found.push_back(parameter.grad().clone());
      parameter.mutable_grad().reset();
    }
    return std::pair(loss, found);
  };
  for (const std::size_t micro : {1, 2}) {
    const auto whole = result({}, micro);
    const auto shared = result(trained, micro);
    expect_same(shared, whole, 1e-7); // weights travel in float32
    EXPECT_FALSE(torch::equal(shared.second[0], whole.second[0])) << "not shared out";
    for (int i = 0; i < 3; ++i) { // whichever thread is first
      const auto again = result(trained, micro);
      for (std::size_t k = 0; k < trained.size(); ++k) {
        EXPECT_TRUE(torch::equal(again.second[k], shared.second[k])) << k;
      }
    }
  }
}

TEST_F(TrainPassTest, MicroBatchesAddUpToTheWholeStep) {
  TrainPass pass(model, {0, LossMean::kTokens, 0.5, [this](bool base) { use_base(base); }});
  const auto whole = gradients(pass, 1, 0);
  expect_same(gradients(pass, 3, 0), whole, 1e-7);
}

TEST_F(TrainPassTest, FrozenPrefixChangesNothing) {
  const auto base = [this](bool on) { use_base(on); };
  TrainPass from_zero(model, {0, LossMean::kTokens, 0.5, base});
  TrainPass from_two(model, {2, LossMean::kTokens, 0.5, base});
  TrainPass cached(model, {2, LossMean::kTokens, 0.5, base});
  cached.cache_prefix(examples, std::uint64_t{1} << 30);
  TrainPass half_cached(model, {2, LossMean::kTokens, 0.5, base});
  half_cached.cache_prefix(examples, 25 * 10 * sizeof(double)); // rows * hidden

  const auto expected = gradients(from_zero, 2, 2);
  expect_same(gradients(from_two, 2, 2), expected, 1e-12);
  expect_same(gradients(cached, 2, 2), expected, 1e-12);
  expect_same(gradients(half_cached, 2, 2), expected, 1e-12);
  expect_same(gradients(half_cached, 1, 2), gradients(from_zero, 1, 2), 1e-12);
}

TEST_F(TrainPassTest, CacheHoldsWhatFits) {
  const std::uint64_t row = 10 * sizeof(double);
  std::int64_t rows = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    rows += examples[i]->rows();
  }
  const PrefixCache cache(model, 1, examples, static_cast<std::uint64_t>(rows) * row);
  EXPECT_EQ(cache.held(), 4);
}

} // namespace
} // namespace errata
