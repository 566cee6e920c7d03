#include "editing/edit_session.h"

#include "tests/core/trainer_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_decoder.h"

#include <gtest/gtest.h>

namespace errata::editing {
namespace {

using testing_support::digest;
using testing_support::random_decoder;
using testing_support::tiny_gemma3;

const std::string kModule = "model.layers.1.mlp.down_proj";

torch::Tensor logits(Decoder& model) {
  const torch::NoGradGuard no_grad;
  const std::vector<std::vector<std::int32_t>> sequences{{2, 7, 9}, {4, 1}};
  return model->logits(model->hidden(pack(sequences)));
}

class EditSessionTest : public testing::TestWithParam<torch::Dtype> {};

TEST_P(EditSessionTest, LeavingItRestoresEveryBit) {
  Decoder model = random_decoder(tiny_gemma3(), GetParam());
  const std::string before = digest(model);
  const void* storage = model->named_parameters()[kModule + ".weight"].data_ptr();
  const torch::Tensor base_logits = logits(model);
  {
    EditSession session(model);
    const torch::NoGradGuard no_grad;
    torch::Tensor weight = session.open(kModule);
    EXPECT_EQ(weight.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(torch::equal(logits(model), base_logits)); // a float32 copy says the same
    weight.add_(0.5);
    EXPECT_FALSE(torch::equal(logits(model), base_logits));
    session.show_base(true);
    EXPECT_TRUE(torch::equal(logits(model), base_logits));
    session.show_base(false);
    EXPECT_FALSE(torch::equal(logits(model), base_logits));
    peft::AdapterConfig config;
    config.target_modules = {"up_proj"};
    const auto named = session.adopt(peft::attach_adapter(model, config, 1)).named_parameters();
    named[1].second.detach().fill_(1.0);
    weight.zero_();
  }
  EXPECT_EQ(digest(model), before);
  EXPECT_EQ(model->named_parameters()[kModule + ".weight"].data_ptr(), storage);
  EXPECT_TRUE(torch::equal(logits(model), base_logits));
}

TEST_P(EditSessionTest, AnExceptionRestoresToo) {
  Decoder model = random_decoder(tiny_gemma3(), GetParam());
  const std::string before = digest(model);
  try {
    EditSession session(model);
    session.open(kModule).detach().add_(1);
    session.show_base(true);
    throw std::runtime_error("editor failed");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(digest(model), before);
}

TEST_P(EditSessionTest, CommitKeepsWeightsAndHandsAdaptersOver) {
  Decoder model = random_decoder(tiny_gemma3(), GetParam());
  const torch::Tensor base_logits = logits(model);
  std::vector<std::unique_ptr<peft::Adapter>> adapters;
  torch::Tensor edited;
  {
    EditSession session(model);
    session.open(kModule).detach().add_(1);
    peft::AdapterConfig config;
    config.target_modules = {"up_proj"};
    session.adopt(peft::attach_adapter(model, config, 1));
    edited = logits(model);
    adapters = session.commit();
  }
  ASSERT_EQ(adapters.size(), 1u);
  EXPECT_FALSE(torch::equal(edited, base_logits));
  EXPECT_TRUE(torch::equal(logits(model), edited));
}

TEST_P(EditSessionTest, DeltasAreEditedMinusBase) {
  Decoder model = random_decoder(tiny_gemma3(), GetParam());
  EditSession session(model);
  session.open(kModule).detach().add_(0.25);
  session.open(kModule).detach().add_(0.25); // the same weight again
  const auto deltas = session.deltas();
  ASSERT_EQ(deltas.size(), 1u);
  EXPECT_EQ(deltas[0].first, kModule);
  EXPECT_LT((deltas[0].second - 0.5).abs().max().item<double>(), 1e-6);
}

TEST_P(EditSessionTest, UnknownModulesAreRefused) {
  Decoder model = random_decoder(tiny_gemma3(), GetParam());
  EditSession session(model);
  testing_support::expect_error(
      ErrorCode::kInvalidArgument, {"model.norm"}, [&] { session.open("model.norm"); });
}

INSTANTIATE_TEST_SUITE_P(
    Dtypes, EditSessionTest, testing::Values(torch::kFloat32, torch::kBFloat16));

} // namespace
} // namespace errata::editing
