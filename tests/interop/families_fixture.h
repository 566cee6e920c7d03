#pragma once

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/generation.h"
#include "core/model.h"
#include "tests/support/python.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace errata::testing_support {

using Logprobs = std::vector<std::vector<double>>;

struct Reference {
  std::vector<Tokens> sequences;
  Logprobs logprobs;
  Logprobs bfloat16;
  std::vector<Tokens> greedy; ///< of the first sequences
};

/// One of the checkpoints that families_reference.py makes, and what transformers computes with it.
class FamiliesInteropTest : public testing::TestWithParam<const char*> {
 protected:
  // Made once for all suites.
  static void SetUpTestSuite() {
    if (reference_ != nullptr || !std::filesystem::exists(python())) {
      return;
    }
    directory_ = std::make_unique<TemporaryDirectory>();
    const auto [status, output] = run_shell(concat(
        python().string(),
        " ",
        ERRATA_SOURCE_DIR "/tests/interop/families_reference.py make ",
        directory_->path().string(),
        " 2>&1"));
    ASSERT_EQ(status, 0) << output;
    reference_ = std::make_unique<Json>(read_json(*directory_ / "reference.json"));
  }
  void SetUp() override {
    if (reference_ == nullptr) {
      GTEST_SKIP() << "no Python environment in .deps/venv";
    }
  }

  static std::filesystem::path path() { return *directory_ / GetParam(); }
  static const Json& reference() { return reference_->at(GetParam()); }
  static Reference expected() {
    const Json& json = reference();
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

/// Every checkpoint, three or more of a family; rotation that depends on the length stands apart.
inline auto family_checkpoints() {
  return testing::Values(
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
      "qwen3_bias");
}

inline constexpr auto kCheckpointName = [](const auto& name) { return std::string(name.param); };

} // namespace errata::testing_support
