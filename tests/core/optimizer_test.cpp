#include "core/optimizer.h"

#include "core/muon.h"
#include "core/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/python.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_error;
using testing_support::TemporaryDirectory;

constexpr int kSteps = 4;

class OptimizerTest : public testing_support::SeedingTest {};

std::vector<NamedTensor> random_matrices() {
  // Two shapes twice and one once, wide and tall, with sizes that need padding in the buffer.
  std::vector<NamedTensor> parameters;
  const std::vector<std::vector<std::int64_t>> shapes{{3, 7}, {9, 5}, {3, 7}, {9, 5}, {6, 6}};
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    parameters.emplace_back(concat("p", i), torch::randn(shapes[i]));
  }
  return parameters;
}

// The same steps here and in torch.optim; returns the largest difference.
double difference_from_torch(
    const OptimizerOptions& options, const std::string& kind, const std::string& python_options) {
  const TemporaryDirectory directory;
  const std::vector<NamedTensor> parameters = random_matrices();
  std::vector<NamedTensor> file;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    file.emplace_back(concat("value.", i), parameters[i].second.clone());
    for (int step = 0; step < kSteps; ++step) {
      file.emplace_back(concat("gradient.", step, ".", i), torch::randn_like(parameters[i].second));
    }
  }
  save_safetensors(directory / "in.safetensors", file);
  const SafetensorsFile in(directory / "in.safetensors");

  FlatParameters flat({parameters});
  Optimizer optimizer(flat, {options});
  for (int step = 0; step < kSteps; ++step) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].second.grad().copy_(in.tensor(concat("gradient.", step, ".", i)));
    }
    optimizer.step(1.0);
  }

  const auto [status, output] = testing_support::run_shell(concat(
      testing_support::python().string(),
      " " ERRATA_SOURCE_DIR "/tests/interop/optimizer_reference.py ",
      (directory / "in.safetensors").string(),
      " ",
      (directory / "out.safetensors").string(),
      " ",
      kind,
      " ",
      kSteps,
      " '",
      python_options,
      "' 2>&1"));
  EXPECT_EQ(status, 0) << output;
  const SafetensorsFile out(directory / "out.safetensors");
  double largest = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    largest = std::max(
        largest,
        (parameters[i].second - out.tensor(concat("value.", i))).abs().max().item<double>());
  }
  return largest;
}

#define REQUIRE_PYTHON()                                         \
  if (!std::filesystem::exists(testing_support::python())) {     \
    GTEST_SKIP() << "no " << testing_support::python().string(); \
  }

TEST_F(OptimizerTest, AdamWIsTorchs) {
  REQUIRE_PYTHON();
  OptimizerOptions options;
  options.lr = 0.02;
  options.beta2 = 0.98;
  options.weight_decay = 0.1;
  EXPECT_LT(
      difference_from_torch(
          options, "adamw", R"({"lr": 0.02, "betas": [0.9, 0.98], "weight_decay": 0.1})"),
      2e-6);
}

TEST_F(OptimizerTest, SgdIsTorchs) {
  REQUIRE_PYTHON();
  OptimizerOptions options;
  options.kind = OptimizerKind::kSgd;
  options.lr = 0.02;
  options.momentum = 0.9;
  options.weight_decay = 0.1;
  EXPECT_LT(
      difference_from_torch(
          options, "sgd", R"({"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1})"),
      2e-6);
}

TEST_F(OptimizerTest, MuonIsTorchsInFloat32) {
  REQUIRE_PYTHON();
  OptimizerOptions options;
  options.kind = OptimizerKind::kMuon;
  options.lr = 0.02;
  options.weight_decay = 0.1;
  // Rounding grows through five steps of a cubic iteration of slope 3.4 each.
  EXPECT_LT(
      difference_from_torch(
          options, "muon", R"({"lr": 0.02, "weight_decay": 0.1, "bfloat16": false})"),
      2e-5);
}

TEST_F(OptimizerTest, MuonInBfloat16IsNearTorchs) {
  REQUIRE_PYTHON();
  OptimizerOptions options;
  options.kind = OptimizerKind::kMuon;
  options.lr = 0.02;
  options.iteration_dtype = torch::kBFloat16;
  // Four updates of about 0.02 * 0.2 * sqrt(9) each, with 8 bits of mantissa.
  EXPECT_LT(
      difference_from_torch(
          options, "muon", R"({"lr": 0.02, "weight_decay": 0.0, "bfloat16": true})"),
      4e-3);
}

TEST_F(OptimizerTest, NewtonSchulzBringsSingularValuesNearOne) {
  const torch::Tensor matrices = torch::randn({4, 12, 30});
  for (const torch::Tensor& m : {matrices, matrices.transpose(1, 2).contiguous()}) {
    const torch::Tensor result = newton_schulz(m, torch::kFloat32);
    const torch::Tensor values = std::get<1>(torch::linalg_svd(result, false));
    EXPECT_GT(values.min().item<double>(), 0.6);
    EXPECT_LT(values.max().item<double>(), 1.3);
    // Same singular vectors: U V^T of the input is as near as the values are to one.
    const auto [u, s, vh] = torch::linalg_svd(m, false);
    EXPECT_LT((result - torch::matmul(u, vh)).norm(2, {1, 2}).max().item<double>(), 0.4 * 3.5);
  }
}

TEST_F(OptimizerTest, MuonRefusesVectors) {
  FlatParameters flat({{{"norm", torch::zeros({4})}}});
  OptimizerOptions options;
  options.kind = OptimizerKind::kMuon;
  expect_error(ErrorCode::kInvalidArgument, {"norm", "adamw"}, [&] { Optimizer(flat, {options}); });
}

TEST_F(OptimizerTest, SplitSendsTablesAndVectorsToTheOthers) {
  const OptimizerOptions any;
  const auto groups = split_parameters(
      {{"model.embed_tokens.weight", torch::zeros({4, 3})},
       {"model.layers.0.mlp.up_proj.weight", torch::zeros({4, 3})},
       {"model.norm.weight", torch::zeros({3})},
       {"lm_head.weight", torch::zeros({4, 3})}},
      any,
      any);
  ASSERT_EQ(groups.size(), 2u);
  ASSERT_EQ(groups[0].parameters.size(), 1u);
  EXPECT_EQ(groups[0].parameters[0].first, "model.layers.0.mlp.up_proj.weight");
  EXPECT_EQ(groups[1].parameters.size(), 3u);
}

TEST_F(OptimizerTest, FlatParametersKeepValuesAndIdentity) {
  auto parameters = random_matrices();
  parameters.emplace_back("vector", torch::randn({5}));
  parameters[0].second.requires_grad_();
  std::vector<torch::Tensor> before;
  for (const auto& [name, tensor] : parameters) {
    before.push_back(tensor.detach().clone());
  }
  {
    FlatParameters flat({parameters});
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      EXPECT_TRUE(torch::equal(parameters[i].second, before[i])) << parameters[i].first;
    }
    // Backward adds into the buffer, it does not allocate.
    const void* gradient = parameters[0].second.grad().data_ptr();
    (parameters[0].second * 3).sum().backward();
    EXPECT_EQ(parameters[0].second.grad().data_ptr(), gradient);
    EXPECT_EQ(flat.gradients().sum().item<float>(), 3 * 21);
    ASSERT_EQ(flat.groups()[0].stacks.size(), 3u);
    EXPECT_EQ(flat.count(), 2 * 21 + 2 * 45 + 36 + 5);
    const MatrixStack& stack = flat.groups()[0].stacks[0];
    EXPECT_EQ(stack.count, 2);
    EXPECT_TRUE(torch::equal(stack.view(flat.values())[1], before[2]));
    const torch::NoGradGuard no_grad;
    flat.values().zero_();
  }
  EXPECT_EQ(parameters[3].second.abs().sum().item<float>(), 0);
  EXPECT_FALSE(parameters[0].second.grad().defined());
}

} // namespace
} // namespace errata
