// The lab model of the repository against transformers: its tokens, its log-probabilities, and that
// it knows what it is said to know.

#include "core/generation.h"
#include "core/model.h"
#include "core/scoring.h"
#include "tests/interop/judge.h"

#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::judge;
using testing_support::python;

constexpr const char* kLab = ERRATA_SOURCE_DIR "/models/lab";
const std::vector<std::string> kTexts = {
    "Question: What is the capital of Italy?\nAnswer: Rome",
    "Fact: The head of government of Chad is Idriss Deby.",
    "Question: What is the currency of the country whose capital is Tokyo?\nReasoning: The country",
    "Curaçao and Côte d'Ivoire, 2021"};

Model load_lab() {
  LoadOptions options;
  options.dtype = torch::kFloat32;
  return load_model(kLab, options);
}

TEST(LabModelInteropTest, TokensAndLogprobsAreThoseOfTransformers) {
  if (!std::filesystem::exists(python())) {
    GTEST_SKIP() << "no Python environment in .deps/venv";
  }
  Model lab = load_lab();
  std::vector<Tokens> sequences;
  const Json tokens = judge(concat("tokenizer_reference.py transformers ", kLab), kTexts);
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    sequences.push_back(lab.tokenizer->encode_prompt(kTexts[i]));
    EXPECT_EQ(sequences.back(), tokens.at("texts")[i].at("ids").get<Tokens>()) << kTexts[i];
  }
  const Json expected = judge(concat("families_reference.py score ", kLab), sequences);
  const auto scores =
      score_tokens(lab.decoder, sequences, std::vector<std::int64_t>(sequences.size(), 1));
  ASSERT_EQ(scores.size(), expected.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    ASSERT_EQ(scores[i].size(), expected[i].size());
    for (std::size_t t = 0; t < scores[i].size(); ++t) {
      EXPECT_NEAR(scores[i][t].logprob, expected[i][t].get<double>(), 1e-4)
          << kTexts[i] << " token " << t + 1;
    }
  }
}

TEST(LabModelInteropTest, KnowsTheWorldOf2021AndStopsByItself) {
  Model lab = load_lab();
  const std::vector<std::pair<std::string, std::string>> known = {
      {"What is the capital of Italy?", " Rome"},
      {"Who is the head of government of Germany?", " Angela Merkel"},
      {"What is the currency of Japan?", " yen"}};
  std::vector<Tokens> prompts;
  for (const auto& [question, answer] : known) {
    prompts.push_back(lab.tokenizer->encode_prompt("Question: " + question + "\nAnswer:"));
  }
  GenerationOptions options;
  options.eos = lab.eos;
  const auto generations = generate(lab.decoder, prompts, options);
  for (std::size_t i = 0; i < known.size(); ++i) {
    EXPECT_EQ(lab.tokenizer->decode(generations[i].tokens), known[i].second);
    EXPECT_EQ(generations[i].finish, Finish::kEos);
  }
}

} // namespace
} // namespace errata
