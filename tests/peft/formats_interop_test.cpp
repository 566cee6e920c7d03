#include "core/base/files.h"
#include "core/base/json.h"
#include "core/model.h"
#include "core/packed_batch.h"
#include "peft/adapter.h"
#include "peft/export.h"
#include "tests/support/python.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <sstream>

namespace errata::peft {
namespace {

using testing_support::TemporaryDirectory;

namespace fs = std::filesystem;

const std::vector<std::string> kFamilies = {"llama", "gemma3", "gpt2"};
// peft_judge.py's adapters: one rank and alpha, rsLoRA, mixed ranks and alphas on some layers.
const std::vector<std::string> kPatterned = {"lora", "rslora", "patterns"};

std::vector<std::string> adapters_of(const std::string& family) {
  return family == "gpt2" ? std::vector<std::string>{"every-linear", "rslora"} : kPatterned;
}

// GGUF and mlx-lm files against the gguf package, mlx-lm's published formula and PEFT
// (tests/peft/formats_judge.py).
class FormatsInteropTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    if (!fs::exists(testing_support::python())) {
      return;
    }
    std::string commands;
    for (const std::string& family : kFamilies) {
      add(commands, concat("make-model ", model_path(family), " ", family));
      for (const std::string& name : adapters_of(family)) {
        add(commands,
            concat("make-adapter ", model_path(family), " ", adapter(family, name), " ", name));
      }
    }
    judge("peft_judge.py", commands);
  }
  static void TearDownTestSuite() { directory_.reset(); }

  void SetUp() override {
    if (!fs::exists(testing_support::python())) {
      GTEST_SKIP() << "no " << testing_support::python() << "; ./test.sh sets it up";
    }
  }

  static std::string path(const std::string& name) { return (*directory_ / name).string(); }
  static std::string model_path(const std::string& family) { return path(family); }
  static std::string adapter(const std::string& family, const std::string& name) {
    return path(family + "-" + name);
  }

  static void add(std::string& commands, const std::string& command) {
    commands += (commands.empty() ? "" : " + ") + command;
  }

  static std::vector<Json> judge(const std::string& script, const std::string& commands) {
    const auto [status, output] = testing_support::run_shell(
        testing_support::python().string() + " " ERRATA_SOURCE_DIR "/tests/peft/" + script + " " +
        commands + " 2>" + path("judge.log"));
    EXPECT_EQ(status, 0) << commands << "\n" << read_file(path("judge.log"));
    std::istringstream lines(output);
    std::vector<Json> answers;
    for (std::string line; std::getline(lines, line);) {
      answers.push_back(Json::parse(line));
    }
    return answers;
  }

  // Log-probabilities of the judge's tokens, with adapters.
  static std::vector<double> own_score(
      const std::string& family, const std::vector<std::string>& adapters) {
    const std::vector<std::vector<std::int32_t>> sequences = {
        {2, 17, 5, 44, 9, 61, 30, 3, 3, 58, 12, 40}};
    const std::vector<std::int32_t>& tokens = sequences[0];
    Model model = load_model(model_path(family));
    std::vector<std::unique_ptr<Adapter>> attached;
    for (const std::string& name : adapters) {
      attached.push_back(load_adapter(model.decoder, name));
    }
    const torch::NoGradGuard no_grad;
    const torch::Tensor logits = model.decoder->logits(model.decoder->hidden(pack(sequences)));
    const torch::Tensor logprobs = torch::log_softmax(logits.to(torch::kFloat32), -1);
    std::vector<double> scores;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      scores.push_back(logprobs[static_cast<std::int64_t>(i)][tokens[i + 1]].item<double>());
    }
    return scores;
  }

  static double distance(const std::vector<double>& a, const std::vector<double>& b) {
    EXPECT_EQ(a.size(), b.size());
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::abs(a[i] - b[i]));
    }
    return largest;
  }

  static std::unique_ptr<TemporaryDirectory> directory_;
};

std::unique_ptr<TemporaryDirectory> FormatsInteropTest::directory_;

TEST_F(FormatsInteropTest, TheGgufPackageReadsPeftsDeltas) {
  std::string commands;
  for (const std::string& family : kFamilies) {
    for (const std::string& name : adapters_of(family)) {
      const std::string file = adapter(family, name) + ".gguf";
      export_gguf(model_path(family), adapter(family, name), file);
      add(commands,
          concat("check-gguf ", model_path(family), " ", adapter(family, name), " ", file));
    }
  }
  const std::vector<Json> answers = judge("formats_judge.py", commands);
  ASSERT_EQ(answers.size(), 8);
  for (const Json& answer : answers) {
    EXPECT_LT(answer.at("distance"), 1e-5) << answer;
    EXPECT_GT(answer.at("modules"), 0) << answer;
    EXPECT_EQ(answer.at("type"), "adapter");
    EXPECT_EQ(answer.at("adapter"), "lora");
    EXPECT_EQ(answer.at("own"), Json({"errata.version"}));
  }
  EXPECT_EQ(answers[0].at("alpha"), 6.0) << "plain LoRA: alpha as it is";
  EXPECT_NEAR(answers[1].at("alpha"), 18.0, 1e-6) << "rsLoRA of rank 9: times 3";
}

TEST_F(FormatsInteropTest, ErrataReadsWhatTheGgufPackageWrites) {
  std::string made;
  std::string scores;
  for (const std::string& family : kFamilies) {
    for (const std::string& name : adapters_of(family)) {
      add(made,
          concat(
              "make-gguf ",
              model_path(family),
              " ",
              adapter(family, name),
              " ",
              adapter(family, name),
              "-theirs.gguf"));
      add(scores, concat("score ", model_path(family), " ", adapter(family, name)));
    }
  }
  judge("formats_judge.py", made);
  const std::vector<Json> answers = judge("peft_judge.py", scores);
  std::size_t i = 0;
  for (const std::string& family : kFamilies) {
    const std::vector<double> base = own_score(family, {});
    for (const std::string& name : adapters_of(family)) {
      const auto expected = answers.at(i++).get<std::vector<double>>();
      EXPECT_GT(distance(expected, base), 0.05) << "the adapter must matter";
      EXPECT_LT(
          distance(own_score(family, {adapter(family, name) + "-theirs.gguf"}), expected), 1e-4)
          << family << " " << name;
    }
  }
}

TEST_F(FormatsInteropTest, MlxLmsFormulaGivesPeftsDeltas) {
  std::string commands;
  for (const std::string& family : kFamilies) {
    for (const std::string& name : adapters_of(family)) {
      export_mlx(model_path(family), adapter(family, name), adapter(family, name) + "-mlx");
      add(commands,
          concat(
              "check-mlx ",
              model_path(family),
              " ",
              adapter(family, name),
              " ",
              adapter(family, name),
              "-mlx"));
    }
  }
  const std::vector<Json> answers = judge("formats_judge.py", commands);
  ASSERT_EQ(answers.size(), 8);
  for (const Json& answer : answers) {
    EXPECT_LT(answer.at("distance"), 1e-5) << answer;
    EXPECT_EQ(answer.at("idle"), 0) << "adapters that mlx-lm would make for nothing: " << answer;
  }
  EXPECT_EQ(answers[0].at("scale"), 1.5);
  EXPECT_NEAR(answers[1].at("scale"), 2.0, 1e-12);
}

TEST_F(FormatsInteropTest, ErrataReadsMlxLmsLayout) {
  std::string made;
  std::string scores;
  for (const std::string& family : kFamilies) {
    const std::string name = adapters_of(family).front();
    add(made,
        concat(
            "make-mlx ",
            model_path(family),
            " ",
            adapter(family, name),
            " ",
            path(family + "-their-mlx")));
    add(scores, concat("score ", model_path(family), " ", adapter(family, name)));
  }
  judge("formats_judge.py", made);
  const std::vector<Json> answers = judge("peft_judge.py", scores);
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    const auto expected = answers.at(i).get<std::vector<double>>();
    EXPECT_LT(
        distance(own_score(kFamilies[i], {path(kFamilies[i] + "-their-mlx")}), expected), 1e-4)
        << kFamilies[i];
  }
}

} // namespace
} // namespace errata::peft
