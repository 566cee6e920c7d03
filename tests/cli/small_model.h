#pragma once

#include "core/model.h"
#include "core/tokenizer_training.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace errata::testing_support {

/// A small random model with a tokenizer in a directory, made once for all tests of a suite.
class SmallModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory();
    torch::manual_seed(0);
    std::vector<std::string> texts;
    for (int i = 0; i < 300; ++i) {
      texts.push_back("The river " + std::to_string(i * 7919) + " flows to the town of Norra.");
    }
    TokenizerTrainingOptions options;
    options.vocab_size = 330;
    train_tokenizer(texts, options, directory_->path());
    DecoderConfig config;
    config.model_type = "gemma3_text";
    config.vocab_size = 340; // ten rows that the tokenizer does not know
    config.hidden_size = 16;
    config.intermediate_size = 24;
    config.num_heads = 2;
    config.num_kv_heads = 1;
    config.head_dim = 8;
    config.max_positions = 128;
    config.query_scale = 0.35;
    config.embedding_scale = 4;
    config.norm_adds_one = config.sandwich_norms = config.qk_norm = true;
    config.tie_word_embeddings = true;
    config.layers = {{8, {10000, 1}}, {8, {10000, 1}}, {0, {1e6, 1}}};
    Decoder decoder(config);
    decoder->initialise(0.3);
    save_model(directory_->path(), decoder, torch::kFloat32, directory_->path());
  }
  static void TearDownTestSuite() { delete directory_; }

  static std::string model() { return directory_->path().string(); }

  // A copy of the model that a test may spoil.
  static std::unique_ptr<TemporaryDirectory> copy() {
    auto target = std::make_unique<TemporaryDirectory>();
    for (const auto& item : std::filesystem::directory_iterator(directory_->path())) {
      std::filesystem::copy(item.path(), target->path() / item.path().filename());
    }
    return target;
  }

  static inline TemporaryDirectory* directory_ = nullptr;
};

} // namespace errata::testing_support
