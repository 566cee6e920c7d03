// Random checkpoints of odd shapes of each family against transformers (families_reference.py), by
// every route a log-probability can take. Tolerance 1e-4 in float32: both sum some hundred products
// in another order.

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
#include <memory>
#include <sstream>

namespace errata {
namespace {

using testing_support::judge;
using testing_support::python;
using testing_support::run_shell;
using testing_support::TemporaryDirectory;
using Logprobs = std::vector<std::vector<double>>;

constexpr double kTolerance = 1e-4;
constexpr const char* kScript = ERRATA_SOURCE_DIR "/tests/interop/families_reference.py";

struct Reference {
  std::vector<Tokens> sequences;
  Logprobs logprobs;
  Logprobs bfloat16;
  std::vector<Tokens> greedy; ///< of the first sequences
};

class FamiliesInteropTest : public testing::TestWithParam<const char*> {
 protected:
  // Made once for all suites.
  static void SetUpTestSuite() {
    if (reference_ != nullptr || !std::filesystem::exists(python())) {
      return;
    }
    directory_ = std::make_unique<TemporaryDirectory>();
    const auto [status, output] = run_shell(
        concat(python().string(), " ", kScript, " make ", directory_->path().string(), " 2>&1"));
    ASSERT_EQ(status, 0) << output;
    reference_ = std::make_unique<Json>(read_json(*directory_ / "reference.json"));
  }
  void SetUp() override {
    if (reference_ == nullptr) {
      GTEST_SKIP() << "no Python environment in .deps/venv";
    }
  }

  static std::filesystem::path path() { return *directory_ / GetParam(); }
  static Reference expected() {
    const Json& json = reference_->at(GetParam());
    return {json["sequences"], json["logprobs"], json["bfloat16"], json["greedy"]};
  }
  static Model load(torch::Dtype dtype = torch::kFloat32) {
    LoadOptions options;
    options.dtype = dtype;
    return load_model(path(), options);
  }

  static inline std::unique_ptr<TemporaryDirectory> directory_;
  static inline std::unique_ptr<Json> reference_;
};

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

constexpr auto kName = [](const auto& name) { return std::string(name.param); };

INSTANTIATE_TEST_SUITE_P(
    Checkpoints,
    FamiliesInteropTest,
    testing::Values(
        "gemma3_grouped",
        "gemma3_old",
        "gemma3_untied",
        "gemma3_narrow",
        "gemma_wide",
        "gemma_bias",
        "gemma_untied",
        "gemma2_grouped",
        "gemma2_plain",
        "gemma2_types",
        "gpt2_plain",
        "gpt2_inner",
        "gpt2_old",
        "gptj_part",
        "gptj_whole",
        "gptj_one",
        "griffin_plain",
        "griffin_wide",
        "griffin_conv",
        "llama_grouped",
        "llama_tied",
        "llama_biases",
        "llama_old",
        "mistral_window",
        "mistral_whole",
        "mistral_theta",
        "qwen2_tied",
        "qwen2_window",
        "qwen2_yarn",
        "qwen3_grouped",
        "qwen3_window",
        "qwen3_bias"),
    kName);

INSTANTIATE_TEST_SUITE_P(Checkpoints, DynamicInteropTest, testing::Values("llama_dynamic"), kName);

INSTANTIATE_TEST_SUITE_P(
    Checkpoints,
    SavingInteropTest,
    testing::Values("gemma3_grouped", "gemma3_old", "gemma3_untied", "gemma3_narrow"),
    kName);

} // namespace
} // namespace errata
