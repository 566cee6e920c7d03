#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/random.h"
#include "core/model.h"
#include "core/packed_batch.h"
#include "peft/adapter.h"
#include "peft/export.h"
#include "tests/support/python.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <iostream>

namespace errata::peft {
namespace {

using testing_support::run_shell;
using testing_support::TemporaryDirectory;

namespace fs = std::filesystem;

const std::vector<std::string> kFamilies = {
    "llama", "mistral", "gemma", "gemma2", "gemma3", "qwen2", "qwen3", "gpt2"};

using Scores = std::vector<double>;

double largest_difference(const Scores& a, const Scores& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

// GGUF adapters in llama.cpp itself (./test.sh llamacpp builds it): random bases of every family
// that it and errata have in common, converted by its own converter.
class LlamaCppTest : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    if (!fs::exists(program())) {
      return;
    }
    std::string command = testing_support::python().string() +
                          " " ERRATA_SOURCE_DIR "/tests/llamacpp/make_base.py " + source() + " " +
                          directory_->path().string() +
                          " " ERRATA_SOURCE_DIR "/models/lab/tokenizer.model";
    for (const std::string& family : kFamilies) {
      command += " " + family;
    }
    const auto [status, output] = run_shell(command + " 2>" + log());
    ASSERT_EQ(status, 0) << read_file(log());
    vocabulary_ = std::stoll(output);
  }
  static void TearDownTestSuite() { directory_.reset(); }

  void SetUp() override {
    if (!fs::exists(program())) {
      GTEST_SKIP() << "no " << program() << "; ./test.sh llamacpp builds it";
    }
    Random random(7);
    tokens_ = {2};
    while (tokens_.size() < 40) {
      tokens_.push_back(
          static_cast<std::int32_t>(random.index(static_cast<std::size_t>(vocabulary_))));
    }
  }

  static std::string program() { return ERRATA_SOURCE_DIR "/.deps/llamacpp/build/llama_logprobs"; }
  static std::string source() {
    return ERRATA_SOURCE_DIR "/.deps/llamacpp/source/vendor/llama.cpp";
  }
  static std::string path(const std::string& name) { return (*directory_ / name).string(); }
  static std::string log() { return path("log.txt"); }

  Scores llama_cpp(const std::string& model, const std::string& adapter, double scale = 1) const {
    std::string command = concat(program(), " ", model, " ", adapter, " ", scale);
    for (const std::int32_t token : tokens_) {
      command += concat(" ", token);
    }
    const auto [status, output] = run_shell(command + " 2>" + log());
    EXPECT_EQ(status, 0) << command << "\n" << read_file(log());
    return status == 0 ? Json::parse(output).get<Scores>() : Scores{};
  }

  Scores own(Decoder& model) const {
    const torch::NoGradGuard no_grad;
    const std::vector<std::vector<std::int32_t>> sequences{tokens_};
    const torch::Tensor logits = model->logits(model->hidden(pack(sequences)));
    const torch::Tensor logprobs = torch::log_softmax(logits.to(torch::kFloat32), -1);
    Scores scores;
    for (std::size_t i = 0; i + 1 < tokens_.size(); ++i) {
      scores.push_back(logprobs[static_cast<std::int64_t>(i)][tokens_[i + 1]].item<double>());
    }
    return scores;
  }

  // An adapter of every linear layer, and of embedding and head where they are two, with unequal
  // ranks and scales.
  static std::unique_ptr<Adapter> attach_random(Decoder& model, bool plain) {
    AdapterConfig config;
    config.r = 4;
    config.lora_alpha = 6;
    for (const auto& [path, linear] : model->linears()) {
      config.target_modules.push_back(path);
    }
    if (!model->config().tie_word_embeddings) {
      config.target_modules.insert(config.target_modules.end(), {"embed_tokens", "lm_head"});
    }
    if (!plain) {
      config.use_rslora = true;
      config.rank_pattern = {{"[02]\\..*", 9}};
      config.alpha_pattern = {{"1\\..*", 2.5}};
    }
    auto adapter = attach_adapter(model, config, 1);
    torch::manual_seed(2);
    const torch::NoGradGuard no_grad;
    for (auto [name, tensor] : adapter->named_parameters()) {
      tensor.normal_(0, 0.1);
    }
    return adapter;
  }

  static std::unique_ptr<TemporaryDirectory> directory_;
  static std::int64_t vocabulary_;
  std::vector<std::int32_t> tokens_;
};

std::unique_ptr<TemporaryDirectory> LlamaCppTest::directory_;
std::int64_t LlamaCppTest::vocabulary_ = 0;

// llama.cpp looks GELU up in a float16 table, where errata computes it.
double tolerance(const std::string& family) {
  const bool gelu = family.starts_with("gemma") || family == "gpt2";
  return gelu ? 5e-3 : 1e-4;
}

TEST_P(LlamaCppTest, AppliesTheAdapterAsErrataDoes) {
  const std::string& family = GetParam();
  const std::string adapter_path = path(family + "-adapter");
  Model model = load_model(path(family));
  const Scores base = own(model.decoder);
  auto adapter = attach_random(model.decoder, /*plain=*/false);
  const Scores adapted = own(model.decoder);
  save_adapter(*adapter, adapter_path);
  const std::string file = adapter_path + ".gguf";
  const ExportResult result = export_gguf(path(family), adapter_path, file);
  const std::string gguf = path(family) + ".gguf";
  const double without = largest_difference(llama_cpp(gguf, "none"), base);
  const double with = largest_difference(llama_cpp(gguf, file), adapted);
  const double moved = largest_difference(base, adapted);
  std::cout << family << ": log-probabilities of llama.cpp and errata differ by at most " << without
            << " without and " << with << " with the adapter, which moves them by up to " << moved
            << " (export's self-check " << result.self_check.max_difference << ")\n";
  EXPECT_GT(moved, 0.5) << "the adapter must matter";
  EXPECT_LT(without, tolerance(family));
  EXPECT_LT(with, tolerance(family));
  // The program's own factor scales the whole change.
  adapter->set_weight(0.5);
  EXPECT_LT(largest_difference(llama_cpp(gguf, file, 0.5), own(model.decoder)), tolerance(family));
}

TEST_P(LlamaCppTest, ErrataReadsWhatItsConverterWrites) {
  const std::string& family = GetParam();
  if (family == "gpt2") {
    GTEST_SKIP() << "the converter swaps A and B of GPT-2's transposed weights";
  }
  const std::string adapter_path = path(family + "-plain");
  Model model = load_model(path(family));
  auto adapter = attach_random(model.decoder, /*plain=*/true);
  const Scores adapted = own(model.decoder);
  save_adapter(*adapter, adapter_path);
  adapter.reset();
  const std::string file = path(family + "-theirs.gguf");
  const auto [status, output] = run_shell(
      testing_support::python().string() + " " + source() + "/convert_lora_to_gguf.py --base " +
      path(family) + " --outfile " + file + " " + adapter_path + " 2>" + log());
  ASSERT_EQ(status, 0) << read_file(log());
  adapter = load_adapter(model.decoder, file);
  EXPECT_LT(largest_difference(own(model.decoder), adapted), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Families, LlamaCppTest, testing::ValuesIn(kFamilies), [](const auto& family) {
      return family.param;
    });

} // namespace
} // namespace errata::peft
