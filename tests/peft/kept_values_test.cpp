// What adapters keep from call to call, to be faster, changes no result.

#include "core/kv_cache.h"
#include "peft/adapter.h"
#include "tests/peft/shake.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata::peft {
namespace {

using testing_support::log_probabilities;
using testing_support::TemporaryDirectory;
using testing_support::tiny_decoder;

// Counts the calls of a linear layer.
class CallCounter final : public ModuleAttachment {
 public:
  torch::Tensor apply(const torch::Tensor& /*x*/, const torch::Tensor& y) override {
    ++calls;
    return y;
  }

  int calls = 0;
};

class KeptPromptTest : public testing_support::SeedingTest {
 protected:
  void SetUp() override {
    SeedingTest::SetUp();
    AdapterConfig config;
    config.peft_type = "ADAPTION_PROMPT";
    config.adaption.adapter_len = 4;
    adapter_ = attach_adapter(model_, config, 7);
    shake(*adapter_);
  }

  torch::Tensor step(KvCache& cache, std::vector<std::int64_t> ids) {
    const torch::NoGradGuard no_grad;
    const torch::Tensor hidden =
        model_->hidden_cached(torch::tensor(ids, torch::kInt64).unsqueeze(0), cache);
    return torch::log_softmax(model_->logits(hidden[0]), -1);
  }

  KvCache cache() const { return {model_->config(), 1, model_->compute_dtype(), torch::kCPU}; }

  // By a pass over the whole text, which keeps nothing.
  torch::Tensor whole(const std::vector<std::int32_t>& text) {
    const torch::NoGradGuard no_grad;
    const std::vector<std::vector<std::int32_t>> texts{text};
    return torch::log_softmax(model_->logits(model_->hidden(pack(texts))), -1);
  }

  static void expect_near(const torch::Tensor& a, const torch::Tensor& b) {
    EXPECT_LE((a - b).abs().max().item<double>(), 1e-4);
  }

  Decoder model_ = tiny_decoder(3);
  std::unique_ptr<Adapter> adapter_;
};

TEST_F(KeptPromptTest, AGenerationLooksAtThePromptOnce) {
  const auto counter = std::make_shared<CallCounter>();
  Linear k_proj{nullptr};
  for (const auto& [name, linear] : model_->linears()) {
    if (name == "model.layers.1.self_attn.k_proj") {
      k_proj = linear;
    }
  }
  k_proj->attach(counter);
  KvCache one = cache();
  step(one, {2, 7});
  EXPECT_EQ(counter->calls, 2) << "the tokens and the prompt";
  step(one, {9});
  step(one, {11, 30});
  EXPECT_EQ(counter->calls, 4) << "the tokens alone";
  KvCache next = cache();
  step(next, {2});
  EXPECT_EQ(counter->calls, 6) << "another generation begins";
  const PackedBatch batch = testing_support::tiny_batch();
  model_->hidden(batch); // with gradients
  model_->hidden(batch);
  EXPECT_EQ(counter->calls, 10);
  k_proj->detach(counter.get());
}

TEST_F(KeptPromptTest, ChangedParametersCountFromTheNextGenerationOn) {
  const std::vector<std::int32_t> text{2, 7, 9, 11, 30};
  for (int round = 0; round < 2; ++round) {
    KvCache kept = cache();
    step(kept, {2, 7});
    step(kept, {9});
    expect_near(step(kept, {11, 30}), whole(text).slice(0, 3));
    shake(*adapter_); // in place, without gradients
  }
}

TEST_F(KeptPromptTest, SwitchedOnLateItIsComputedThen) {
  const std::vector<std::int32_t> text{2, 7, 9};
  KvCache first = cache();
  step(first, {2, 7, 9}); // keeps the prompt of now
  adapter_->set_enabled(false);
  KvCache kept = cache();
  step(kept, {2, 7});
  shake(*adapter_);
  adapter_->set_enabled(true);
  const torch::Tensor late = step(kept, {9});
  // The same with an adapter that has never kept anything.
  const TemporaryDirectory directory;
  save_adapter(*adapter_, directory / "adapter");
  adapter_.reset();
  KvCache fresh = cache();
  step(fresh, {2, 7});
  adapter_ = load_adapter(model_, directory / "adapter");
  EXPECT_TRUE(torch::equal(late, step(fresh, {9})));
}

TEST(KeptCastTest, VeraCastsWhatItsMatricesAre) {
  torch::manual_seed(0);
  Decoder model = tiny_decoder(3, torch::kBFloat16);
  AdapterConfig config;
  config.peft_type = "VERA";
  config.r = 6;
  config.target_modules = {"q_proj", "o_proj", "down_proj"};
  const auto adapter = attach_adapter(model, config, 7);
  shake(*adapter);
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, tensor] : adapter->file_tensors()) {
    tensors[name] = tensor;
  }
  // Equation 2 of 2310.11454 in bfloat16, with A and B as they are now.
  const auto expect_formula = [&] {
    const torch::NoGradGuard no_grad;
    for (const auto& [name, linear] : model->linears()) {
      if (linear->attachments().empty()) {
        continue;
      }
      const torch::Tensor x = torch::randn({5, linear->weight.size(1)}).to(torch::kBFloat16);
      const auto cast = [](const torch::Tensor& tensor) { return tensor.to(torch::kBFloat16); };
      const torch::Tensor a = tensors.at("base_model.vera_A").slice(1, 0, linear->weight.size(1));
      const torch::Tensor b = tensors.at("base_model.vera_B").slice(0, 0, linear->weight.size(0));
      const torch::Tensor inner =
          torch::linear(x, cast(a)) * cast(tensors.at(name + ".vera_lambda_d"));
      const torch::Tensor change =
          torch::linear(inner, cast(b)) * cast(tensors.at(name + ".vera_lambda_b"));
      Linear layer = linear;
      const torch::Tensor expected = torch::linear(x, linear->weight) + change;
      EXPECT_TRUE(torch::equal(layer(x), expected)) << name;
    }
  };
  expect_formula();
  expect_formula(); // from what is kept
  for (const char* shared : {"base_model.vera_A", "base_model.vera_B"}) {
    tensors.at(shared).detach().mul_(1.5); // as a file's values come in
  }
  expect_formula();
}

} // namespace
} // namespace errata::peft
