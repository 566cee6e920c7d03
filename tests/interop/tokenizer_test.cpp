// Ids and texts against sentencepiece (models of other programs) and transformers (models that
// errata trains, and a tokenizer.json of each style that published models have).

#include "core/tokenizer.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/generation.h"
#include "core/model.h"
#include "core/tokenizer_training.h"
#include "tests/interop/judge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace errata {
namespace {

using testing_support::judge;
using testing_support::python;
using testing_support::TemporaryDirectory;

const std::vector<std::string> kAwkward = {
    "",
    " ",
    "   leading and trailing   ",
    "tab\there",
    "a\nb\n\nc",
    "1234567890 3.14 1,000",
    "naïve café — “quotes” …",
    "Ελληνικά русский العربية",
    "日本語の文章",
    "emoji 😀👩‍👩‍👧 flags 🇩🇪",
    "\xE2\x96\x81 the space sign \xE2\x96\x81\xE2\x96\x81",
    "zero\xE2\x80\x8Bwidth and nbsp\xC2\xA0here",
    "combining e\xCC\x81 \xEF\xAC\x81 ligature",
    "<html><b>x</b></html>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "x"};

// About `count` lines spread evenly over the text files of the shared data.
std::vector<std::string> shared_lines(const std::filesystem::path& data, std::size_t count) {
  std::vector<std::string> all;
  for (const char* name : {"wikitext2_valid.txt", "gutenberg_melville-moby_dick.txt"}) {
    std::istringstream in(read_file(data / "text" / name));
    for (std::string line; std::getline(in, line);) {
      if (!line.empty()) {
        all.push_back(line);
      }
    }
  }
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    lines.push_back(all[i * all.size() / count]);
  }
  return lines;
}

// A megabyte of these texts.
std::string long_line(const std::vector<std::string>& texts) {
  std::string line;
  while (line.size() < 1'000'000) {
    line += texts[line.size() % texts.size()] + "  \n";
  }
  return line;
}

class TokenizerInteropTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(python())) {
      GTEST_SKIP() << "no Python environment in .deps/venv";
    }
    if (const char* data = std::getenv("ERRATA_DATA_DIR")) {
      data_ = data;
    }
  }

  TemporaryDirectory directory_;
  std::filesystem::path data_;
};

TEST_F(TokenizerInteropTest, SentencepieceAgrees) {
  if (data_.empty()) {
    GTEST_SKIP() << "ERRATA_DATA_DIR is not set";
  }
  std::vector<std::string> texts = shared_lines(data_, 10'000);
  texts.insert(texts.end(), kAwkward.begin(), kAwkward.end());
  texts.push_back(long_line(texts));
  for (const std::string name : {"mistral_v1_bpe32000.model", "sentencepiece_unigram1000.model"}) {
    SCOPED_TRACE(name);
    constexpr int kReorderedLines = 2;
    int reordered = 0;
    const bool unigram = name.find("unigram") != std::string::npos;
    const auto model = directory_ / "tokenizer.model";
    write_file(model, read_file(data_ / "tokenizers" / name));
    const auto tokenizer = Tokenizer::load(directory_.path());
    const Json expected = judge("tokenizer_reference.py spm " + model.string(), texts);
    ASSERT_EQ(expected.size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      auto ids = tokenizer->encode(texts[i]);
      EXPECT_EQ(tokenizer->decode(ids), expected[i]["text"].get<std::string>()) << texts[i];
      auto theirs = expected[i]["ids"].get<std::vector<std::int32_t>>();
      // Versions of the library differ in the order of unigram pieces, whose score is the same, and
      // in how the scores of a megabyte add up.
      const bool is_long = i + 1 == texts.size();
      if (unigram && (is_long || (ids != theirs && ++reordered <= kReorderedLines))) {
        if (!is_long) {
          std::sort(ids.begin(), ids.end());
          std::sort(theirs.begin(), theirs.end());
          EXPECT_EQ(ids, theirs) << texts[i];
        }
        continue;
      }
      EXPECT_EQ(ids, theirs) << texts[i];
    }
  }
}

// 10,000 lines and what usually goes wrong, in the styles of GPT-2, Llama 2 and 3, Qwen and others.
TEST_F(TokenizerInteropTest, TransformersAgreesOnTokenizerJson) {
  std::vector<std::string> texts = kAwkward;
  if (!data_.empty()) {
    const auto lines = shared_lines(data_, 10'000);
    texts.insert(texts.end(), lines.begin(), lines.end());
  }
  for (int i = 0; i < 100; ++i) {
    texts.push_back(concat("Since ", 1700 + i, " the river of Zemlya has flowed to Norra."));
  }
  texts.push_back(long_line(texts));
  texts.insert(
      texts.end(),
      {"a<|endoftext|>b",
       "<s>x</s> y",
       "  <tool> z",
       "<|im_start|>user\nhi<|im_end|>\n",
       "<|begin_of_text|> <|eot_id|>",
       "e\xCC\x81 \xC3\xA9 \xEF\xAC\x81",
       "I'LL we'Ve \xC5\xBFs 'S",
       "x\r\n\r\n  y \t z",
       "12345678901234",
       std::string("nul\0byte\x01\x7F", 10),
       "\xE1\xA0\x8E mongolian \xC2\x85 next line \xE3\x80\x80 wide"});
  const auto styles = directory_ / "styles";
  std::filesystem::create_directories(styles);
  const Json expected = judge("bpe_reference.py " + styles.string(), texts);
  ASSERT_EQ(expected.size(), 6U);
  for (const auto& style : expected.items()) {
    const auto tokenizer = Tokenizer::load(styles / style.key());
    ASSERT_EQ(style.value().size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const Json& wanted = style.value()[i];
      const auto ids = tokenizer->encode_prompt(texts[i]);
      const std::string shown = texts[i].substr(0, 200);
      ASSERT_EQ(ids, wanted["ids"].get<std::vector<std::int32_t>>())
          << style.key() << ": " << shown;
      ASSERT_EQ(tokenizer->decode(ids), wanted["text"].get<std::string>())
          << style.key() << ": " << shown;
    }
  }
}

const std::string kBeginning =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";

// A trained Llama and its tokenizer.json: greedy text as its author published it.
TEST_F(TokenizerInteropTest, StoriesBeginAsPublished) {
  if (data_.empty()) {
    GTEST_SKIP() << "ERRATA_DATA_DIR is not set";
  }
  LoadOptions load;
  load.dtype = torch::kFloat32;
  Model stories = load_model(data_ / "stories260k" / "hf", load);
  ASSERT_TRUE(stories.tokenizer);
  GenerationOptions options;
  options.max_new_tokens = 40;
  const auto story = generate(stories.decoder, {{stories.tokenizer->bos()}}, options).at(0);
  const std::string text = stories.tokenizer->decode(story.tokens);
  EXPECT_EQ(text.substr(text.find_first_not_of(' ')).substr(0, kBeginning.size()), kBeginning);
}

// A directory as `pretrain` makes it: transformers finds the class, the special tokens and the ids.
TEST_F(TokenizerInteropTest, TransformersReadsATrainedTokenizer) {
  std::vector<std::string> texts = kAwkward;
  if (!data_.empty()) {
    const auto lines = shared_lines(data_, 1000);
    texts.insert(texts.end(), lines.begin(), lines.end());
  }
  for (int i = 0; i < 300; ++i) {
    texts.push_back(concat("Since ", 1700 + i, " the river of Zemlya has flowed to Norra."));
  }
  TokenizerTrainingOptions options;
  options.vocab_size = 600;
  const auto model = directory_ / "model";
  train_tokenizer(texts, options, model);
  DecoderConfig config;
  config.model_type = "gemma3_text";
  config.vocab_size = 600;
  config.hidden_size = 8;
  config.intermediate_size = 8;
  config.num_heads = config.num_kv_heads = 1;
  config.head_dim = 8;
  config.max_positions = 32;
  config.norm_adds_one = config.sandwich_norms = config.qk_norm = true;
  config.tie_word_embeddings = true;
  config.layers = {{4, {}}};
  Decoder decoder(config);
  decoder->initialise();
  save_model(model, decoder, torch::kFloat32, model);
  const auto tokenizer = Tokenizer::load(model);
  texts.insert(
      texts.end(), {"<start_of_turn>user\nhello<end_of_turn>\n", "a<eos>b", "<bos>x", "<eo"});
  const Json expected = judge("tokenizer_reference.py transformers " + model.string(), texts);
  EXPECT_EQ(expected["class"], "GemmaTokenizer");
  EXPECT_EQ(expected["size"], 600);
  EXPECT_EQ(expected["bos"], 2);
  EXPECT_EQ(expected["eos"], 1);
  ASSERT_EQ(expected["texts"].size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto ids = tokenizer->encode_prompt(texts[i]);
    EXPECT_EQ(ids, expected["texts"][i]["ids"].get<std::vector<std::int32_t>>()) << texts[i];
    EXPECT_EQ(tokenizer->decode(ids), expected["texts"][i]["text"].get<std::string>()) << texts[i];
  }
}

} // namespace
} // namespace errata
