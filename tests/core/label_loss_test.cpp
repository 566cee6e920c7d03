#include "core/label_loss.h"

#include "tests/support/seeding_test.h"
#include "tests/support/tiny_decoder.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::largest_difference;

class LabelLossTest : public testing_support::SeedingTest {
 protected:
  // The loss by its definition, from LibTorch's own functions.
  double expected(const torch::Tensor& z) const {
    const torch::Tensor p = torch::log_softmax(z, 1);
    const torch::Tensor q = torch::log_softmax(base, 1);
    const torch::Tensor ce = torch::nll_loss(p, labels, {}, at::Reduction::None);
    const torch::Tensor kl =
        torch::kl_div(p.narrow(0, 0, 2), q, at::Reduction::None, /*log_target=*/true).sum(1);
    return ((ce * weights).sum() + (kl * kl_weights).sum()).item<double>();
  }

  const torch::TensorOptions kDouble = torch::kFloat64;
  torch::Tensor logits = torch::randn({5, 11}, kDouble) * 3;
  torch::Tensor base = torch::randn({2, 11}, kDouble);
  torch::Tensor labels = torch::tensor({3, 0, 10, 3, 7}, torch::kInt64);
  torch::Tensor weights = torch::tensor({0.1, 0.2, 0.3, 0.0, 0.4}, kDouble);
  torch::Tensor kl_weights = torch::tensor({0.6, 0.2}, kDouble);
};

TEST_F(LabelLossTest, IsCrossEntropyPlusDivergence) {
  const LabelLoss loss = label_loss_(logits.clone(), base.clone(), labels, weights, kl_weights);
  EXPECT_NEAR((loss.cross_entropy + loss.kl).item<double>(), expected(logits), 1e-12);
  EXPECT_GT(loss.kl.item<double>(), 0.01);
}

TEST_F(LabelLossTest, GradientMatchesFiniteDifferences) {
  const torch::Tensor gradient = logits.clone();
  label_loss_(gradient, base.clone(), labels, weights, kl_weights);
  constexpr double kStep = 1e-6;
  for (std::int64_t i = 0; i < logits.numel(); ++i) {
    torch::Tensor above = logits.clone();
    torch::Tensor below = logits.clone();
    above.view(-1)[i] += kStep;
    below.view(-1)[i] -= kStep;
    const double difference = (expected(above) - expected(below)) / (2 * kStep);
    EXPECT_NEAR(gradient.view(-1)[i].item<double>(), difference, 1e-8) << "logit " << i;
  }
}

TEST_F(LabelLossTest, DivergenceFromItselfIsZero) {
  const torch::Tensor gradient = logits.clone();
  const torch::Tensor none = torch::zeros_like(weights);
  const LabelLoss loss =
      label_loss_(gradient, logits.narrow(0, 0, 2).clone(), labels, none, kl_weights);
  EXPECT_NEAR(loss.kl.item<double>(), 0, 1e-12);
  EXPECT_LT(gradient.abs().max().item<double>(), 1e-12);
}

TEST_F(LabelLossTest, LargeLogitsStayFinite) {
  torch::Tensor large = logits.to(torch::kFloat32) * 1e4;
  const LabelLoss loss =
      label_loss_(large, {}, labels, weights.to(torch::kFloat32), torch::Tensor());
  EXPECT_TRUE(std::isfinite(loss.cross_entropy.item<double>()));
  EXPECT_TRUE(torch::isfinite(large).all().item<bool>());
}

TEST_F(LabelLossTest, ChunksOfTheOutputLayerChangeNothing) {
  for (DecoderConfig config : {testing_support::tiny_gemma3(), testing_support::tiny_llama()}) {
    Decoder model = testing_support::random_decoder(config);
    for (torch::Tensor& parameter : model->parameters()) {
      parameter.requires_grad_(true);
    }
    const std::int64_t rows = 40;
    const torch::Tensor hidden = torch::randn({rows, config.hidden_size}, kDouble);
    const torch::Tensor base_states = torch::randn({20, config.hidden_size}, kDouble);
    LabelTargets targets;
    targets.labels = torch::randint(config.vocab_size, {rows}, torch::kInt64);
    targets.weights = torch::rand({rows}, kDouble);
    targets.kl_weights = torch::rand({20}, kDouble);

    // The whole thing by autograd.
    const torch::Tensor leaf = hidden.clone().requires_grad_();
    const torch::Tensor p = torch::log_softmax(model->logits(leaf), 1);
    const torch::Tensor q = torch::log_softmax(model->logits(base_states), 1).detach();
    const torch::Tensor ce = torch::nll_loss(p, targets.labels, {}, at::Reduction::None);
    const torch::Tensor kl = torch::kl_div(p.narrow(0, 0, 20), q, at::Reduction::None, true).sum(1);
    const torch::Tensor total = (ce * targets.weights).sum() + (kl * targets.kl_weights).sum();
    total.backward();
    const torch::Tensor head =
        model->named_parameters()
            [config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"];
    const torch::Tensor head_gradient = head.grad().clone();

    // 16 rows is the smallest chunk; 17 leaves a rest and cuts through the rows held to the base.
    for (const std::int64_t chunk : {16, 17, 1000}) {
      head.mutable_grad().reset();
      torch::Tensor gradient;
      GradientSink sink;
      const LabelLoss loss = output_layer_loss(
          model, hidden, base_states, targets, gradient, sink, chunk * config.vocab_size);
      EXPECT_NEAR((loss.cross_entropy + loss.kl).item<double>(), total.item<double>(), 1e-10);
      EXPECT_LT(largest_difference(gradient, leaf.grad()), 1e-12) << chunk;
      EXPECT_LT(largest_difference(head.grad(), head_gradient), 1e-12) << chunk;
    }
  }
}

// float32 and bfloat16 without KL go through a kernel. Each is judged by float64 on its own logits,
// with the whole vocabulary far off and a row without weight among them.
TEST_F(LabelLossTest, OnePassFollowsFloat64) {
  for (const torch::Dtype dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (DecoderConfig config : {testing_support::tiny_gemma3(), testing_support::tiny_llama()}) {
      Decoder model = testing_support::random_decoder(config, dtype);
      const std::int64_t rows = 21;
      const torch::Tensor hidden = (torch::randn({rows, config.hidden_size}) * 3).to(dtype);
      LabelTargets targets;
      targets.labels = torch::randint(config.vocab_size, {rows}, torch::kInt64);
      targets.weights = torch::rand({rows});
      targets.weights[3] = 0;
      torch::Tensor gradient;
      GradientSink sink;
      const LabelLoss loss = output_layer_loss(model, hidden, {}, targets, gradient, sink);
      EXPECT_EQ(gradient.scalar_type(), dtype);
      EXPECT_EQ(loss.kl.item<double>(), 0.0);

      const torch::Tensor leaf = hidden.clone().requires_grad_();
      const torch::Tensor own = model->logits(leaf);
      const torch::Tensor wide = own.detach().to(kDouble).requires_grad_();
      const torch::Tensor losses =
          torch::nll_loss(torch::log_softmax(wide, 1), targets.labels, {}, at::Reduction::None);
      const torch::Tensor total = (losses * targets.weights.to(kDouble)).sum();
      total.backward();
      own.backward(wide.grad().to(dtype));
      EXPECT_NEAR(
          loss.cross_entropy.item<double>(), total.item<double>(), 1e-5 * total.item<double>());
      const double tolerance = dtype == torch::kFloat32 ? 1e-5 : 0.01;
      const double size = leaf.grad().abs().max().item<double>();
      EXPECT_LT(largest_difference(gradient, leaf.grad()), tolerance * size);
    }
  }
}

} // namespace
} // namespace errata
