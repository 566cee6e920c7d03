#pragma once

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/model.h"
#include "core/packed_batch.h"
#include "tests/support/python.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace errata::peft {

/// A directory of one suite, and independent programs (Python scripts beside this file) that judge
/// what lies in it. Skips where they are not installed.
class JudgedTest : public testing::Test {
 protected:
  // log-softmax in float32 over 70 tokens; two programs differ in the order of their sums.
  static constexpr double kTolerance = 1e-4;

  static void SetUpTestSuite() {
    directory_ = std::make_unique<testing_support::TemporaryDirectory>();
  }
  static void TearDownTestSuite() { directory_.reset(); }

  void SetUp() override {
    if (!judge_is_here()) {
      GTEST_SKIP() << "no " << testing_support::python() << "; ./test.sh sets it up";
    }
  }

  static bool judge_is_here() { return std::filesystem::exists(testing_support::python()); }

  static std::string path(const std::string& name) { return (*directory_ / name).string(); }

  /// Runs the commands in one process of the script; the lines of JSON that it prints.
  static std::vector<Json> judge(
      const std::string& script, const std::vector<std::string>& commands) {
    std::string joined;
    for (const std::string& command : commands) {
      joined += (joined.empty() ? "" : " + ") + command;
    }
    const auto [status, output] = testing_support::run_shell(concat(
        testing_support::python().string(),
        " " ERRATA_SOURCE_DIR "/tests/peft/",
        script,
        " ",
        joined,
        " 2>",
        path("judge.log")));
    EXPECT_EQ(status, 0) << joined << "\n" << read_file(path("judge.log"));
    std::istringstream lines(output);
    std::vector<Json> answers;
    for (std::string line; std::getline(lines, line);) {
      answers.push_back(Json::parse(line));
    }
    return answers;
  }

  /// PEFT and transformers, for commands that print log-probabilities.
  static std::vector<std::vector<double>> peft_scores(const std::vector<std::string>& commands) {
    std::vector<std::vector<double>> scores;
    for (const Json& answer : judge("peft_judge.py", commands)) {
      scores.push_back(answer.get<std::vector<double>>());
    }
    return scores;
  }

  /// Log-probabilities of the judges' tokens, from the second on.
  static std::vector<double> own_score(Decoder& model) {
    const torch::NoGradGuard no_grad;
    const std::vector<std::vector<std::int32_t>> sequences = {
        {2, 17, 5, 44, 9, 61, 30, 3, 3, 58, 12, 40}};
    const torch::Tensor logits = model->logits(model->hidden(pack(sequences)));
    const torch::Tensor logprobs = torch::log_softmax(logits.to(torch::kFloat32), -1);
    std::vector<double> scores;
    for (std::size_t i = 0; i + 1 < sequences[0].size(); ++i) {
      scores.push_back(logprobs[static_cast<std::int64_t>(i)][sequences[0][i + 1]].item<double>());
    }
    return scores;
  }

  static double distance(const std::vector<double>& a, const std::vector<double>& b) {
    EXPECT_EQ(a.size(), b.size());
    double largest = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      const double difference = std::abs(a[i] - b[i]);
      EXPECT_TRUE(std::isfinite(difference)) << a[i] << " and " << b[i];
      largest = std::max(largest, difference);
    }
    return largest;
  }

  static inline std::unique_ptr<testing_support::TemporaryDirectory> directory_;
};

} // namespace errata::peft
