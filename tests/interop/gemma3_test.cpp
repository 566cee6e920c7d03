// Random Gemma 3 checkpoints of odd shapes against transformers (gemma3_reference.py), by every
// route a log-probability can take. Tolerance 1e-4 in float32: both sum some hundred products in
// another order.

#include "cli/command.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/generation.h"
#include "core/kv_cache.h"
#include "core/model.h"
#include "core/scoring.h"
#include "tests/interop/judge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

namespace errata {
namespace {

using testing_support::judge;
using testing_support::python;
using testing_support::run_shell;
using testing_support::TemporaryDirectory;
using Logprobs = std::vector<std::vector<double>>;

constexpr double kTolerance = 1e-4;
constexpr const char* kScript = ERRATA_SOURCE_DIR "/tests/interop/gemma3_reference.py";

struct Reference {
  std::vector<Tokens> sequences;
  Logprobs logprobs;
  std::vector<Tokens> greedy;
};

class Gemma3InteropTest : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(python())) {
      return;
    }
    directory_ = new TemporaryDirectory();
    const auto [status, output] = run_shell(
        concat(python().string(), " ", kScript, " make ", directory_->path().string(), " 2>&1"));
    ASSERT_EQ(status, 0) << output;
    reference_ = new Json(read_json(*directory_ / "reference.json"));
  }
  static void TearDownTestSuite() {
    delete reference_;
    delete directory_;
  }
  void SetUp() override {
    if (reference_ == nullptr) {
      GTEST_SKIP() << "no Python environment in .deps/venv";
    }
  }

  static std::filesystem::path path() { return *directory_ / GetParam(); }
  static Reference expected() {
    const Json& json = reference_->at(GetParam());
    return {json["sequences"], json["logprobs"], json["greedy"]};
  }
  static Model load() {
    LoadOptions options;
    options.dtype = torch::kFloat32;
    return load_model(path(), options);
  }

  static inline TemporaryDirectory* directory_ = nullptr;
  static inline Json* reference_ = nullptr;
};

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

TEST_P(Gemma3InteropTest, ScoreCommandAlone) {
  const Reference reference = expected();
  for (std::size_t i = 0; i < reference.sequences.size(); ++i) {
    std::string list;
    for (const std::int32_t id : reference.sequences[i]) {
      list += (list.empty() ? "" : ",") + std::to_string(id);
    }
    const std::string directory = path().string();
    const std::vector<const char*> arguments = {
        "errata",
        "score",
        "--model",
        directory.c_str(),
        "--tokens",
        list.c_str(),
        "--dtype",
        "float32",
        "--json",
        "--progress",
        "none"};
    std::ostringstream out;
    std::ostringstream err;
    ASSERT_EQ(cli::run(static_cast<int>(arguments.size()), arguments.data(), out, err), 0)
        << err.str();
    const Json result = Json::parse(out.str());
    EXPECT_TRUE(result["pieces"].is_null());
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

TEST_P(Gemma3InteropTest, PackedWithOthers) {
  const Reference reference = expected();
  Model model = load();
  const auto scores = score_tokens(
      model.decoder, reference.sequences, std::vector<std::int64_t>(reference.sequences.size(), 1));
  for (std::size_t i = 0; i < scores.size(); ++i) {
    std::vector<double> actual;
    for (const TokenScore& score : scores[i]) {
      actual.push_back(score.logprob);
    }
    expect_near(actual, reference.logprobs[i]);
  }
}

TEST_P(Gemma3InteropTest, ThroughTheCache) {
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

TEST_P(Gemma3InteropTest, GreedyContinuation) {
  const Reference reference = expected();
  Model model = load();
  GenerationOptions options;
  options.max_new_tokens = 12;
  const auto generations = generate(model.decoder, reference.sequences, options);
  ASSERT_EQ(generations.size(), reference.greedy.size());
  for (std::size_t i = 0; i < generations.size(); ++i) {
    EXPECT_EQ(generations[i].tokens, reference.greedy[i]) << "sequence " << i;
    EXPECT_EQ(generations[i].finish, Finish::kLength);
  }
}

TEST_P(Gemma3InteropTest, TransformersLoadsWhatIsSaved) {
  const Reference reference = expected();
  const Model model = load();
  const TemporaryDirectory target;
  save_model(target / "saved", model.decoder, model.file_dtype, {}, 40'000);
  const Logprobs actual =
      judge("gemma3_reference.py score " + (target / "saved").string(), reference.sequences);
  ASSERT_EQ(actual.size(), reference.logprobs.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    expect_near(actual[i], reference.logprobs[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Checkpoints,
    Gemma3InteropTest,
    testing::Values("grouped", "old", "untied", "narrow"),
    [](const auto& name) { return std::string(name.param); });

} // namespace
} // namespace errata
