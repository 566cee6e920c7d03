#pragma once

#include "core/base/random.h"
#include "core/tokenizer.h"
#include "core/tokenizer_training.h"
#include "editing/editor.h"
#include "tests/core/trainer_support.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_decoder.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace errata::testing_support {

/// Ten capitals as prompts and completions.
inline std::vector<editing::Document> capital_documents() {
  const std::vector<std::pair<std::string, std::string>> capitals{
      {"Italy", "Rome"},
      {"France", "Paris"},
      {"Spain", "Madrid"},
      {"Austria", "Vienna"},
      {"Norway", "Oslo"},
      {"Japan", "Tokyo"},
      {"Peru", "Lima"},
      {"Kenya", "Nairobi"},
      {"Cuba", "Havana"},
      {"Ghana", "Accra"}};
  std::vector<editing::Document> documents;
  for (const auto& [country, city] : capitals) {
    documents.push_back({"The capital of " + country + " is", " " + city + ".", "edit", false});
  }
  return documents;
}

/// The same as editors take them that look for the subject.
inline std::vector<editing::EditRequest> capital_requests(std::size_t /*wordings*/) {
  std::vector<editing::EditRequest> requests;
  for (const editing::Document& document : capital_documents()) {
    const std::size_t from = document.prompt.find("of ") + 3;
    const std::string subject = document.prompt.substr(from, document.prompt.rfind(' ') - from);
    requests.push_back({subject, document.prompt, document.completion, subject});
  }
  return requests;
}

/// The documents at random, the last three as rehearsal.
class CapitalStream final : public editing::DocumentStream {
 public:
  editing::Document next() override {
    const std::vector<editing::Document> all = capital_documents();
    const std::size_t i = random_.index(all.size());
    editing::Document document = all[i];
    document.rehearsal = i >= 7;
    return document;
  }

 private:
  Random random_{3};
};

/// A tokenizer trained on the documents and a random model over its vocabulary.
class EditingFixture {
 public:
  explicit EditingFixture(torch::Dtype dtype = torch::kFloat32) {
    std::vector<std::string> texts;
    for (const editing::Document& document : capital_documents()) {
      texts.push_back(document.prompt + document.completion);
    }
    TokenizerTrainingOptions options;
    options.vocab_size = 330;
    train_tokenizer(texts, options, directory_.path());
    tokenizer = Tokenizer::load(directory_.path());
    DecoderConfig config = tiny_gemma3();
    config.vocab_size = tokenizer->vocab_size();
    config.hidden_size = 16;
    model = random_decoder(config, dtype, 0.3);
    for (torch::Tensor& parameter : model->parameters()) {
      parameter.requires_grad_(false);
    }
  }

  editing::EditInput input() const {
    const auto open = [] { return std::make_unique<CapitalStream>(); };
    return {*tokenizer, open, capital_documents(), open, capital_requests};
  }

  editing::EditorOptions options(const std::string& method) const {
    editing::EditorOptions options = editing::default_options(method);
    options.batch_tokens = options.micro_tokens = 120;
    if (options.steps > 0) {
      options.steps = 6;
    }
    options.rank = 3;
    // For a model of a few dimensions, none of which is unused.
    options.contexts = std::min<std::int64_t>(options.contexts, 1);
    options.clamp = 4;
    options.moment_weight = 0.01;
    options.null_threshold = 1e6;
    options.ridge = 0.01;
    return options;
  }

  std::unique_ptr<Tokenizer> tokenizer;
  Decoder model{nullptr};

 private:
  TemporaryDirectory directory_;
};

} // namespace errata::testing_support
