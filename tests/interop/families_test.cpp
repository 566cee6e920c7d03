// Random checkpoints of odd shapes of each family against transformers (families_reference.py), by
// every route a log-probability can take. Tolerance 1e-4 in float32: both sum some hundred products
// in another order.

#include "core/generation.h"
#include "core/kv_cache.h"
#include "core/model.h"
#include "core/scoring.h"
#include "tests/interop/families_fixture.h"
#include "tests/interop/judge.h"
#include "tests/support/run_command.h"

#include <gtest/gtest.h>

#include <cmath>

namespace errata {
namespace {

using testing_support::FamiliesInteropTest;
using testing_support::family_checkpoints;
using testing_support::judge;
using testing_support::kCheckpointName;
using testing_support::Logprobs;
using testing_support::Outcome;
using testing_support::Reference;
using testing_support::run_command;
using testing_support::TemporaryDirectory;

constexpr double kTolerance = 1e-4;
/// Rotation that depends on the length of a sequence.
class DynamicInteropTest : public FamiliesInteropTest {};

/// Families that are written from a decoder.
class SavingInteropTest : public FamiliesInteropTest {};

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], kTolerance) << "token " << i + 1;
  }
}

// log p of each token after the first, from hidden states [size, hidden].
std::vector<double> logprobs_of(Decoder& decoder, const torch::Tensor& hidden, const Tokens& ids) {
  const torch::Tensor table = torch::log_softmax(decoder->logits(hidden).to(torch::kFloat32), -1);
  std::vector<double> result;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    result.push_back(table[static_cast<std::int64_t>(i) - 1][ids[i]].item<double>());
  }
  return result;
}

TEST_P(FamiliesInteropTest, ScoreCommandAlone) {
  const Reference reference = expected();
  for (std::size_t i = 0; i < reference.sequences.size(); ++i) {
    std::string list;
    for (const std::int32_t id : reference.sequences[i]) {
      list += (list.empty() ? "" : ",") + std::to_string(id);
    }
    const Outcome outcome = run_command(
        {"score", "--model", path().string(), "--tokens", list, "--dtype", "float32", "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json result = outcome.json();
    EXPECT_TRUE(result["logprobs"][0].is_null());
    const std::vector<double> actual(result["logprobs"].begin() + 1, result["logprobs"].end());
    expect_near(actual, reference.logprobs[i]);
    double sum = 0;
    for (const double logprob : reference.logprobs[i]) {
      sum += logprob;
    }
    EXPECT_NEAR(result["sum"].get<double>(), sum, 1e-3);
    EXPECT_NEAR(
        std::log(result["perplexity"].get<double>()),
        -sum / static_cast<double>(actual.size()),
        1e-4);
  }
}

// Each sequence in one batch with the others.
Logprobs packed_logprobs(Model& model, const std::vector<Tokens>& sequences) {
  const auto scores =
      score_tokens(model.decoder, sequences, std::vector<std::int64_t>(sequences.size(), 1));
  Logprobs logprobs;
  for (const auto& tokens : scores) {
    std::vector<double>& values = logprobs.emplace_back();
    for (const TokenScore& score : tokens) {
      values.push_back(score.logprob);
    }
  }
  return logprobs;
}

void expect_packed(Model model, const Reference& reference) {
  const Logprobs actual = packed_logprobs(model, reference.sequences);
  for (std::size_t i = 0; i < actual.size(); ++i) {
    expect_near(actual[i], reference.logprobs[i]);
  }
}

TEST_P(FamiliesInteropTest, PackedWithOthers) {
  expect_packed(load(), expected());
}

// With a cache, keys keep the rotation of the length at which they came, in transformers too; so
// only whole sequences can be compared.
TEST_P(DynamicInteropTest, PackedWithOthers) {
  expect_packed(load(), expected());
}

double mean_distance(const Logprobs& a, const Logprobs& b) {
  double sum = 0;
  double count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t k = 0; k < a[i].size(); ++k, ++count) {
      sum += std::abs(a[i][k] - b[i][k]);
    }
  }
  return sum / count;
}

// bfloat16 is as near to float32 as transformers' bfloat16 is; a tenth for the luck of rounding.
TEST_P(FamiliesInteropTest, HalfPrecisionIsNoWorse) {
  const Reference reference = expected();
  Model model = load(torch::kBFloat16);
  const double ours =
      mean_distance(packed_logprobs(model, reference.sequences), reference.logprobs);
  EXPECT_LE(ours, 1.1 * mean_distance(reference.bfloat16, reference.logprobs));
}

TEST_P(FamiliesInteropTest, ThroughTheCache) {
  const Reference reference = expected();
  Model model = load();
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < reference.sequences.size(); ++i) {
    const Tokens& ids = reference.sequences[i];
    const auto size = static_cast<std::int64_t>(ids.size());
    const torch::Tensor all =
        torch::tensor(std::vector<std::int64_t>(ids.begin(), ids.end())).unsqueeze(0);
    // A first piece at once, a second one, then token by token.
    for (const std::int64_t first : {std::int64_t{1}, size / 2, size}) {
      KvCache cache(model.decoder->config(), 1, torch::kFloat32, torch::kCPU);
      std::vector<torch::Tensor> parts;
      std::int64_t place = 0;
      for (std::int64_t steps = first; place < size; steps = place == first ? 2 : 1) {
        steps = std::min(steps, size - place);
        parts.push_back(model.decoder->hidden_cached(all.slice(1, place, place + steps), cache)[0]);
        place += steps;
      }
      expect_near(logprobs_of(model.decoder, torch::cat(parts), ids), reference.logprobs[i]);
    }
  }
}

TEST_P(FamiliesInteropTest, GreedyContinuation) {
  const Reference reference = expected();
  Model model = load();
  GenerationOptions options;
  options.max_new_tokens = 12;
  const std::vector<Tokens> prompts(
      reference.sequences.begin(),
      reference.sequences.begin() + static_cast<std::ptrdiff_t>(reference.greedy.size()));
  const auto generations = generate(model.decoder, prompts, options);
  for (std::size_t i = 0; i < generations.size(); ++i) {
    EXPECT_EQ(generations[i].tokens, reference.greedy[i]) << "sequence " << i;
    EXPECT_EQ(generations[i].finish, Finish::kLength);
  }
}

TEST_P(SavingInteropTest, TransformersLoadsWhatIsSaved) {
  const Reference reference = expected();
  const Model model = load();
  const TemporaryDirectory target;
  save_model(target / "saved", model.decoder, model.file_dtype, {}, 40'000);
  const Logprobs actual =
      judge("families_reference.py score " + (target / "saved").string(), reference.sequences);
  ASSERT_EQ(actual.size(), reference.logprobs.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    expect_near(actual[i], reference.logprobs[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, FamiliesInteropTest, family_checkpoints(), kCheckpointName);

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, DynamicInteropTest, testing::Values("llama_dynamic"), kCheckpointName);

INSTANTIATE_TEST_SUITE_P(
    Checkpoints,
    SavingInteropTest,
    testing::Values("gemma3_grouped", "gemma3_old", "gemma3_untied", "gemma3_narrow"),
    kCheckpointName);

} // namespace
} // namespace errata
