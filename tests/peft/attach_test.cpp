#include "core/base/error.h"
#include "peft/adapter.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <map>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::log_probabilities;
using testing_support::tiny_decoder;

class AttachTest : public testing_support::SeedingTest {};

AdapterConfig lora_config(std::vector<std::string> targets, std::int64_t r = 3) {
  AdapterConfig config;
  config.r = r;
  config.lora_alpha = 5;
  config.target_modules = std::move(targets);
  return config;
}

// Gives every parameter values, as training would.
void fill(Adapter& adapter, double size = 0.3) {
  const torch::NoGradGuard no_grad;
  for (auto [name, tensor] : adapter.named_parameters()) {
    tensor.normal_(0, size);
  }
}

std::map<std::string, torch::Tensor> weights(const Decoder& model) {
  std::map<std::string, torch::Tensor> copies;
  for (const auto& [path, linear] : model->linears()) {
    copies[path] = linear->weight.detach().clone();
  }
  return copies;
}

void expect_weights(const Decoder& model, const std::map<std::string, torch::Tensor>& expected) {
  for (const auto& [path, linear] : model->linears()) {
    EXPECT_TRUE(torch::equal(linear->weight, expected.at(path))) << path;
  }
}

TEST_F(AttachTest, FreshLoraChangesNothing) {
  Decoder model = tiny_decoder();
  const torch::Tensor before = log_probabilities(model);
  const auto adapter = attach_adapter(model, lora_config({"q_proj", "down_proj"}), 7);
  EXPECT_TRUE(torch::equal(log_probabilities(model), before));
  EXPECT_EQ(adapter->modules().size(), 24);
  for (const auto& [name, tensor] : adapter->named_parameters()) {
    EXPECT_TRUE(tensor.requires_grad()) << name;
    EXPECT_EQ(tensor.scalar_type(), torch::kFloat32);
  }
  fill(*adapter);
  EXPECT_GT((log_probabilities(model) - before).abs().max().item<double>(), 0.01);
}

TEST_F(AttachTest, StartFollowsTheSeedAndTheBound) {
  Decoder model = tiny_decoder();
  const auto first = attach_adapter(model, lora_config({"down_proj"}, 50), 7);
  const auto second = attach_adapter(model, lora_config({"down_proj"}, 50), 7);
  const auto third = attach_adapter(model, lora_config({"down_proj"}, 50), 8);
  const torch::Tensor a = first->named_parameters()[0].second;
  EXPECT_EQ(first->named_parameters()[0].first, "model.layers.0.mlp.down_proj.lora_A.weight");
  EXPECT_TRUE(torch::equal(a, second->named_parameters()[0].second));
  EXPECT_FALSE(torch::equal(a, third->named_parameters()[0].second));
  const double bound = 1 / std::sqrt(40.0);
  EXPECT_LE(a.abs().max().item<double>(), bound);
  EXPECT_GT(a.abs().max().item<double>(), 0.95 * bound);
}

TEST_F(AttachTest, OutputIsThatOfTheChangedWeights) {
  for (const bool rslora : {false, true}) {
    Decoder model = tiny_decoder();
    AdapterConfig config = lora_config({"k_proj", "gate_proj"});
    config.use_rslora = rslora;
    config.rank_pattern = {{"layers.1.self_attn.k_proj", 5}};
    config.alpha_pattern = {{"gate_proj", 2.0}};
    const auto adapter = attach_adapter(model, config, 1);
    fill(*adapter);
    const torch::Tensor adapted = log_probabilities(model);
    adapter->set_enabled(false);
    // By hand: alpha/r or alpha/sqrt(r) of each module.
    const auto parameters = adapter->named_parameters();
    for (std::size_t i = 0; i < parameters.size(); i += 2) {
      const std::string module = parameters[i].first.substr(0, parameters[i].first.find(".lora_A"));
      const torch::Tensor a = parameters[i].second.detach();
      const torch::Tensor b = parameters[i + 1].second.detach();
      const double r = module == "model.layers.1.self_attn.k_proj" ? 5 : 3;
      EXPECT_EQ(a.size(0), r) << module;
      const double alpha = module.ends_with("gate_proj") ? 2 : 5;
      const torch::Tensor change = b.mm(a) * (alpha / (rslora ? std::sqrt(r) : r));
      EXPECT_TRUE(torch::allclose(adapter->delta(module), change, 1e-5, 1e-6));
      for (auto& [path, linear] : model->linears()) {
        if (path == module) {
          linear->weight.add_(change);
        }
      }
    }
    EXPECT_TRUE(torch::allclose(log_probabilities(model), adapted, 1e-4, 1e-4)) << rslora;
  }
}

TEST_F(AttachTest, DisabledAndDestroyedAdaptersLeaveNoTrace) {
  Decoder model = tiny_decoder();
  const auto base = weights(model);
  const torch::Tensor before = log_probabilities(model);
  {
    const auto adapter = attach_adapter(model, lora_config({"v_proj"}), 1);
    fill(*adapter);
    adapter->set_enabled(false);
    EXPECT_FALSE(adapter->enabled());
    EXPECT_TRUE(torch::equal(log_probabilities(model), before));
    adapter->set_enabled(true);
    EXPECT_FALSE(torch::equal(log_probabilities(model), before));
    adapter->merge();
  }
  EXPECT_TRUE(torch::equal(log_probabilities(model), before));
  expect_weights(model, base);
  for (const auto& [path, linear] : model->linears()) {
    EXPECT_TRUE(linear->attachments().empty());
  }
}

TEST_F(AttachTest, MergeAndUnmergeAreExact) {
  for (const torch::Dtype dtype : {torch::kFloat32, torch::kBFloat16}) {
    Decoder model = tiny_decoder(3, dtype);
    model->set_compute_dtype(torch::kFloat32);
    const auto base = weights(model);
    const auto adapter = attach_adapter(model, lora_config({"o_proj", "up_proj"}), 1);
    fill(*adapter, 0.1);
    const torch::Tensor adapted = log_probabilities(model);
    adapter->merge();
    EXPECT_TRUE(adapter->merged());
    for (const auto& [path, linear] : model->linears()) {
      const bool touched = path.ends_with("o_proj") || path.ends_with("up_proj");
      const torch::Tensor expected =
          touched ? (base.at(path).to(torch::kFloat32) + adapter->delta(path)).to(dtype)
                  : base.at(path);
      EXPECT_TRUE(torch::equal(linear->weight, expected)) << path;
      // The registered parameter is the member: saving would see it.
      EXPECT_TRUE(torch::equal(model->named_parameters()[path + ".weight"], expected)) << path;
    }
    const double tolerance = dtype == torch::kFloat32 ? 1e-4 : 5e-2;
    EXPECT_TRUE(torch::allclose(log_probabilities(model), adapted, tolerance, tolerance));
    adapter->merge();
    adapter->unmerge();
    expect_weights(model, base);
    EXPECT_TRUE(torch::equal(log_probabilities(model), adapted));
  }
}

TEST_F(AttachTest, MergingNeverWritesIntoTheBaseTensor) {
  Decoder model = tiny_decoder(2);
  const auto linear = model->linears()[0].second;
  const torch::Tensor base = linear->weight.data();
  const torch::Tensor copy = base.clone();
  const auto adapter = attach_adapter(model, lora_config({"q_proj"}), 1);
  fill(*adapter);
  adapter->merge();
  EXPECT_TRUE(torch::equal(base, copy));
  adapter->unmerge();
  EXPECT_EQ(linear->weight.data_ptr(), base.data_ptr()) << "the mapped tensor itself comes back";
}

TEST_F(AttachTest, SeveralAdaptersAddUp) {
  Decoder model = tiny_decoder(4);
  const auto base = weights(model);
  auto first = attach_adapter(model, lora_config({"q_proj", "up_proj"}), 1);
  auto second = attach_adapter(model, lora_config({"up_proj"}, 2), 2);
  fill(*first);
  fill(*second);
  second->set_weight(0.5);
  const torch::Tensor both = log_probabilities(model);
  first->merge();
  second->merge();
  for (const auto& [path, linear] : model->linears()) {
    torch::Tensor expected = base.at(path).clone();
    if (path.ends_with("up_proj")) {
      expected += first->delta(path) + second->delta(path);
    } else if (path.ends_with("q_proj")) {
      expected += first->delta(path);
    }
    EXPECT_TRUE(torch::allclose(linear->weight, expected, 1e-6, 1e-7)) << path;
  }
  EXPECT_TRUE(torch::allclose(log_probabilities(model), both, 1e-4, 1e-4));
  // Out of order: what stays is the second alone.
  first->unmerge();
  first->set_enabled(false);
  const torch::Tensor only_second = log_probabilities(model);
  second->unmerge();
  EXPECT_TRUE(torch::allclose(log_probabilities(model), only_second, 1e-4, 1e-4));
  second->merge();
  second.reset();
  expect_weights(model, base);
}

TEST_F(AttachTest, WeightAndSwitchReachMergedWeights) {
  Decoder model = tiny_decoder(2);
  const auto base = weights(model);
  const auto adapter = attach_adapter(model, lora_config({"q_proj"}), 1);
  fill(*adapter);
  adapter->merge();
  adapter->set_enabled(false);
  expect_weights(model, base);
  adapter->set_enabled(true);
  adapter->set_weight(2.0);
  const std::string module = adapter->modules().front();
  EXPECT_TRUE(torch::equal(
      model->linears().front().second->weight, base.at(module) + adapter->delta(module)));
}

TEST_F(AttachTest, GradientsReachTheAdapterAndOnlyIt) {
  Decoder model = tiny_decoder(3);
  AdapterConfig config = lora_config({"down_proj"});
  config.layers_to_transform = {1};
  const auto adapter = attach_adapter(model, config, 1);
  EXPECT_EQ(adapter->first_layer(), 1);
  fill(*adapter);
  const torch::Tensor hidden = model->hidden(testing_support::tiny_batch());
  model->logits(hidden).square().mean().backward();
  for (const auto& [name, tensor] : adapter->named_parameters()) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    EXPECT_GT(tensor.grad().abs().max().item<double>(), 0) << name;
  }
  for (const auto& parameter : model->parameters()) {
    EXPECT_FALSE(parameter.grad().defined());
  }
}

TEST_F(AttachTest, FixedDeltasAreExact) {
  Decoder model = tiny_decoder(3);
  const std::string module = "model.layers.2.mlp.down_proj";
  const torch::Tensor change = torch::randn({24, 40}) * 0.1;
  const torch::Tensor before = log_probabilities(model);
  const auto adapter = attach_delta(model, {{module, change}});
  EXPECT_EQ(adapter->config().peft_type, "DELTA");
  EXPECT_EQ(adapter->first_layer(), 2);
  EXPECT_TRUE(torch::equal(adapter->delta(module), change));
  const torch::Tensor adapted = log_probabilities(model);
  EXPECT_FALSE(torch::allclose(adapted, before, 1e-3, 1e-3));
  adapter->merge();
  EXPECT_TRUE(torch::allclose(log_probabilities(model), adapted, 1e-4, 1e-4));
}

TEST_F(AttachTest, TruncationKeepsTheLargestSingularValues) {
  Decoder model = tiny_decoder(3);
  const std::string module = "model.layers.1.self_attn.k_proj"; // [16, 24]
  const torch::Tensor change = torch::randn({16, 24});
  const auto rank3 = attach_truncated_delta(model, {{module, change}}, 3);
  EXPECT_EQ(rank3->config().peft_type, "LORA");
  const torch::Tensor values = torch::linalg_svdvals(change);
  // Eckart-Young: the error is what the dropped singular values hold.
  const double expected = values.slice(0, 3).square().sum().sqrt().item<double>();
  EXPECT_NEAR((rank3->delta(module) - change).norm().item<double>(), expected, 1e-4 * expected);
  const auto full = attach_truncated_delta(model, {{module, change}}, 100);
  EXPECT_TRUE(torch::allclose(full->delta(module), change, 1e-4, 1e-4));
  EXPECT_EQ(module_rank(full->config(), module), 16);
}

TEST_F(AttachTest, RejectsWhatCannotBe) {
  Decoder model = tiny_decoder(3);
  AdapterConfig config = lora_config({"q_proj"}, 0);
  expect_error(
      ErrorCode::kInvalidArgument, {"rank", "0"}, [&] { attach_adapter(model, config, 1); });
  config = lora_config({"q_proj"});
  config.lora_dropout = 1.0;
  expect_error(ErrorCode::kInvalidArgument, {"dropout"}, [&] { attach_adapter(model, config, 1); });
  config = lora_config({"q_proj"});
  config.rank_pattern = {{"k_proj", 4}};
  expect_error(ErrorCode::kInvalidArgument, {"rank_pattern", "k_proj"}, [&] {
    attach_adapter(model, config, 1);
  });
  const torch::Tensor change = torch::zeros({24, 40});
  expect_error(ErrorCode::kInvalidArgument, {"shape", "[40, 24]"}, [&] {
    attach_delta(model, {{"model.layers.0.mlp.up_proj", change}});
  });
  expect_error(ErrorCode::kInvalidArgument, {"model.layers.9.mlp.up_proj"}, [&] {
    attach_delta(model, {{"model.layers.9.mlp.up_proj", change}});
  });
  const auto adapter = attach_adapter(model, lora_config({"q_proj"}), 1);
  expect_error(
      ErrorCode::kNotFound, {"v_proj"}, [&] { adapter->delta("model.layers.0.self_attn.v_proj"); });
}

} // namespace
} // namespace errata::peft
