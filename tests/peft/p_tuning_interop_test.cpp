// P-tuning's encoders are PEFT's (tests/peft/encoder_judge.py), and so is what they leave.

#include "core/safetensors.h"
#include "peft/adapter.h"
#include "tests/peft/judged_test.h"
#include "tests/peft/shake.h"

namespace errata::peft {
namespace {

class PTuningInteropTest : public JudgedTest {
 protected:
  static void SetUpTestSuite() {
    JudgedTest::SetUpTestSuite();
    if (judge_is_here()) {
      judge("peft_judge.py", {"make-model " + path("model")});
    }
  }

  static AdapterConfig config(PromptEncoder encoder) {
    AdapterConfig config;
    config.peft_type = "P_TUNING";
    config.prompt.num_virtual_tokens = 5;
    config.prompt.encoder_hidden_size = 7;
    config.prompt.encoder = encoder;
    return config;
  }

  static constexpr std::pair<PromptEncoder, const char*> kEncoders[] = {
      {PromptEncoder::kMlp, "MLP"}, {PromptEncoder::kLstm, "LSTM"}};
};

TEST_F(PTuningInteropTest, EncodersMakeTheTableThatPeftsMake) {
  Model model = load_model(path("model"));
  for (const auto& [encoder, name] : kEncoders) {
    const auto adapter = attach_adapter(model.decoder, config(encoder), 5);
    shake(*adapter);
    save_safetensors(path("encoder.safetensors"), adapter->named_parameters());
    const auto answers =
        judge("encoder_judge.py", {concat(path("encoder.safetensors"), ' ', name, " 7")});
    ASSERT_EQ(answers.size(), 1u);
    const auto rows = answers[0].get<std::vector<std::vector<double>>>();
    const torch::Tensor table = adapter->file_tensors().front().second;
    ASSERT_EQ(static_cast<std::int64_t>(rows.size()), table.size(0));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const torch::Tensor row = torch::tensor(rows[i], torch::kFloat32);
      EXPECT_LE((table[static_cast<std::int64_t>(i)] - row).abs().max().item<double>(), 1e-5)
          << name;
    }
  }
}

TEST_F(PTuningInteropTest, WhatAnLstmLeavesIsReadOnBothSides) {
  Model model = load_model(path("model"));
  std::vector<double> own;
  {
    const auto adapter = attach_adapter(model.decoder, config(PromptEncoder::kLstm), 5);
    shake(*adapter);
    save_adapter(*adapter, path("ours"));
    own = own_score(model.decoder);
  }
  EXPECT_GT(distance(own, own_score(model.decoder)), 0.05) << "the adapter must matter";
  judge("encoder_judge.py", {concat("make ", path("model"), ' ', path("theirs"), " LSTM")});
  const auto judged = peft_scores(
      {concat("score ", path("model"), ' ', path("ours")),
       concat("score ", path("model"), ' ', path("theirs"))});
  ASSERT_EQ(judged.size(), 2u);
  EXPECT_LE(distance(own, judged[0]), kTolerance);
  const auto theirs = load_adapter(model.decoder, path("theirs"));
  EXPECT_EQ(theirs->config().prompt.encoder, PromptEncoder::kLstm);
  EXPECT_LE(distance(own_score(model.decoder), judged[1]), kTolerance);
}

} // namespace
} // namespace errata::peft
