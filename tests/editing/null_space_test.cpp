#include "editing/null_space.h"

#include "editing/anchor.h"
#include "tests/core/trainer_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

namespace errata::editing {
namespace {

using testing_support::largest_difference;

class NullSpaceTest : public testing_support::SeedingTest {};

TEST_F(NullSpaceTest, MomentsAreThoseOfTheLayersInputs) {
  Decoder model = testing_support::random_decoder(testing_support::tiny_gemma3(), torch::kFloat32);
  // The input of the first block's q_proj is the normed, scaled embedding: computed by hand here.
  BatchOptions options;
  options.batch_tokens = options.micro_tokens = 50;
  options.pool = 10;
  testing_support::RandomExamples source(29);
  const std::string layer = "model.layers.0.";
  const auto moments = input_moments(
      model,
      {layer + "self_attn.q_proj", layer + "self_attn.k_proj", layer + "mlp.down_proj"},
      source,
      options,
      3);
  ASSERT_EQ(moments.size(), 3u);
  EXPECT_TRUE(model->linears()[0].second->attachments().empty());

  testing_support::RandomExamples again(29);
  const auto plan = plan_stream(again, options);
  torch::Tensor sum = torch::zeros({10, 10}, torch::kFloat64);
  torch::Tensor mean = torch::zeros({10}, torch::kFloat64);
  std::int64_t rows = 0;
  const auto weights = model->named_parameters();
  const torch::NoGradGuard no_grad;
  for (int i = 0; i < 3; ++i) {
    for (const MicroBatch& micro : plan->next().micro) {
      const PackedBatch packed = pack_examples(micro, torch::kCPU);
      torch::Tensor x = weights["model.embed_tokens.weight"].index_select(0, packed.ids) *
                        model->config().embedding_scale;
      x = x / (x.square().mean(-1, true) + model->config().norm_eps).sqrt();
      x = (x * (1 + weights[layer + "input_layernorm.weight"])).to(torch::kFloat64);
      sum += x.t().mm(x);
      mean += x.sum(0);
      rows += packed.rows();
    }
  }
  const torch::Tensor expected = sum / static_cast<double>(rows);
  const InputMoment& of_q = moments.at(layer + "self_attn.q_proj");
  EXPECT_LT(largest_difference(of_q.second, expected), 1e-5);
  EXPECT_LT(largest_difference(of_q.mean, mean / static_cast<double>(rows)), 1e-6);
  // One input, one tensor.
  EXPECT_TRUE(moments.at(layer + "self_attn.k_proj").second.is_same(of_q.second));
  EXPECT_EQ(moments.at(layer + "mlp.down_proj").second.size(0), 14);
}

TEST_F(NullSpaceTest, ProjectionShrinksEachDirectionByItsEigenvalue) {
  const torch::Tensor basis = std::get<0>(torch::linalg_qr(torch::randn({6, 6}, torch::kFloat64)));
  const torch::Tensor eigenvalues = torch::tensor({9.0, 4.0, 1.0, 0.5, 0.01, 0.0}, torch::kFloat64);
  const torch::Tensor moment = basis.mm(eigenvalues.diag()).mm(basis.t());
  const double t = 0.1 * 14.51 / 6;
  const torch::Tensor expected = basis.mm((t / (eigenvalues + t)).diag()).mm(basis.t());
  EXPECT_LT(largest_difference(soft_null_projection(moment, 0.1), expected), 1e-6);
  testing_support::expect_error(ErrorCode::kInvalidArgument, {"softness"}, [&] {
    soft_null_projection(torch::zeros({3, 3}), 0.1);
  });
}

TEST_F(NullSpaceTest, GradientsAndUpdatesAreProjected) {
  const torch::Tensor weight = torch::randn({3, 4});
  const torch::Tensor other = torch::randn({3, 4});
  const torch::Tensor projection = torch::randn({4, 4});
  const torch::Tensor w0 = weight.clone();
  const torch::Tensor o0 = other.clone();
  FlatParameters parameters({{{"w", weight}, {"o", other}}});
  NullSpace hook(parameters, {{"w", projection}});
  const torch::NoGradGuard no_grad;
  const torch::Tensor gradient = torch::randn({3, 4});
  const torch::Tensor step = torch::randn({3, 4});
  weight.grad().copy_(gradient);
  other.grad().copy_(gradient);
  hook.before_update(parameters);
  EXPECT_LT(largest_difference(weight.grad(), gradient.mm(projection)), 1e-6);
  EXPECT_TRUE(torch::equal(other.grad(), gradient));
  torch::Tensor(weight).add_(step);
  torch::Tensor(other).add_(step);
  hook.after_update(parameters, 1.0);
  EXPECT_LT(largest_difference(weight, w0 + step.mm(projection)), 1e-5);
  EXPECT_TRUE(torch::equal(other, o0 + step));
}

TEST_F(NullSpaceTest, AnchorPullsBackInStepWithTheSchedule) {
  const torch::Tensor weight = torch::ones({2, 2});
  FlatParameters parameters({{{"w", weight}}});
  Anchor anchor(parameters, 0.5);
  const torch::NoGradGuard no_grad;
  torch::Tensor(weight).fill_(3.0);
  anchor.after_update(parameters, 0.5);
  EXPECT_LT((weight - 2.5).abs().max().item<double>(), 1e-6);
}

} // namespace
} // namespace errata::editing
