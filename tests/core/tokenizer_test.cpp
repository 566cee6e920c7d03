#include "core/tokenizer.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/tokenizer_training.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

namespace errata {
namespace {

using testing_support::expect_error;
using testing_support::TemporaryDirectory;

// Sentences enough for a vocabulary of 400.
std::vector<std::string> sample_texts() {
  const std::vector<std::string> places = {
      "Zemlya", "Norra", "Vik", "Torvik", "Astra", "Quel", "Brynn", "Osmar", "Liria", "Kestrel"};
  std::vector<std::string> texts;
  for (const std::string& a : places) {
    for (const std::string& b : places) {
      texts.push_back("The capital of " + a + " is " + b + ".\nSince 1987, " + b + " has grown.");
      texts.push_back("Which river flows through " + b + "? It is the river of " + a + ".");
    }
  }
  return texts;
}

TokenizerTrainingOptions small_vocabulary() {
  TokenizerTrainingOptions options;
  options.vocab_size = 400;
  return options;
}

class TokenizerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory();
    train_tokenizer(sample_texts(), small_vocabulary(), directory_->path());
    tokenizer_ = Tokenizer::load(directory_->path()).release();
  }
  static void TearDownTestSuite() {
    delete tokenizer_;
    delete directory_;
  }

  // A copy of the tokenizer that a test may spoil.
  static void copy_to(const std::filesystem::path& target) {
    for (const char* name : {"tokenizer.model", "tokenizer_config.json"}) {
      write_file(target / name, read_file(*directory_ / name));
    }
  }

  static inline TemporaryDirectory* directory_ = nullptr;
  static inline Tokenizer* tokenizer_ = nullptr;
};

TEST_F(TokenizerTest, FollowsGemmasConventions) {
  EXPECT_EQ(tokenizer_->vocab_size(), 400);
  EXPECT_EQ(tokenizer_->bos(), 2);
  EXPECT_EQ(tokenizer_->eos(), 1);
  const std::vector<std::string> first = {
      "<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "\n"};
  for (std::size_t id = 0; id < first.size(); ++id) {
    EXPECT_EQ(tokenizer_->piece(static_cast<std::int32_t>(id)), first[id]);
  }
  // No dummy prefix; digits stand alone; the line end is one token.
  EXPECT_EQ(tokenizer_->piece(tokenizer_->encode("The")[0]).substr(0, 1), "T");
  const auto year = tokenizer_->encode("1987");
  ASSERT_EQ(year.size(), 4U);
  EXPECT_EQ(tokenizer_->piece(year[3]), "7");
  EXPECT_EQ(tokenizer_->encode("\n\n"), (std::vector<std::int32_t>{6, 6}));
}

TEST_F(TokenizerTest, OnlyAPromptBeginsWithBos) {
  const auto plain = tokenizer_->encode("Norra");
  auto prompt = tokenizer_->encode_prompt("Norra");
  ASSERT_EQ(prompt.size(), plain.size() + 1);
  EXPECT_EQ(prompt.front(), 2);
  prompt.erase(prompt.begin());
  EXPECT_EQ(prompt, plain);
  EXPECT_EQ(tokenizer_->encode_prompt(""), std::vector<std::int32_t>{2});
}

TEST_F(TokenizerTest, SpecialTokensWrittenOutBecomeIds) {
  const auto ids = tokenizer_->encode("<bos>Vik<eos><start_of_turn>");
  EXPECT_EQ(ids.front(), 2);
  EXPECT_EQ(ids[ids.size() - 2], 1);
  EXPECT_EQ(ids.back(), 4);
  EXPECT_EQ(tokenizer_->decode(ids), "Vik");
  EXPECT_EQ(tokenizer_->encode("<eo")[0] == 1, false);
}

TEST_F(TokenizerTest, RejectsIdsOutOfRange) {
  expect_error(ErrorCode::kInvalidArgument, {"400"}, [] { tokenizer_->piece(400); });
  expect_error(ErrorCode::kInvalidArgument, {"-1"}, [] { tokenizer_->decode({-1}); });
}

// Whatever the text, the bytes come back: unknown characters are spelt in bytes.
TEST_F(TokenizerTest, DecodingUndoesEncoding) {
  const auto check = [](const std::string& text) {
    return tokenizer_->decode(tokenizer_->encode(text)) == text;
  };
  for (const char* text :
       {"", " ", "  two  spaces ", "\n", "a\tb", "Ελλάδα", "日本 🇯🇵", "<b>", "▁"}) {
    if (std::string(text) != "▁") { // the space's own sign is read back as a space
      EXPECT_TRUE(check(text)) << text;
    }
  }
  EXPECT_TRUE(rc::check([&] {
    const auto words = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
        "Norra", " ", "\n", "7", "é", "漢", "😀", "<", "unk", "  ", ".", "Q", "\t"));
    std::string text;
    for (const std::string& word : words) {
      text += word;
    }
    RC_ASSERT(check(text));
  }));
}

TEST_F(TokenizerTest, TrainingIsDeterministic) {
  const TemporaryDirectory again;
  train_tokenizer(sample_texts(), small_vocabulary(), again.path());
  EXPECT_EQ(read_file(again / "tokenizer.model"), read_file(*directory_ / "tokenizer.model"));
  EXPECT_EQ(Tokenizer::load(again.path())->hash(), tokenizer_->hash());
}

TEST_F(TokenizerTest, LittleTextHasFewerPieces) {
  const TemporaryDirectory target;
  train_tokenizer({"a b c"}, {}, target.path());
  const auto tokenizer = Tokenizer::load(target.path());
  EXPECT_GT(tokenizer->vocab_size(), 256); // the bytes
  EXPECT_LT(tokenizer->vocab_size(), 300);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("abba Zürich")), "abba Zürich");
}

TEST_F(TokenizerTest, TrainingNeedsTextAndRoomForItsSymbols) {
  const TemporaryDirectory target;
  TokenizerTrainingOptions narrow;
  narrow.vocab_size = 100;
  expect_error(ErrorCode::kInvalidArgument, {"vocabulary of 100 pieces"}, [&] {
    train_tokenizer(sample_texts(), narrow, target.path());
  });
  expect_error(
      ErrorCode::kInvalidArgument, {"no text"}, [&] { train_tokenizer({""}, {}, target.path()); });
  EXPECT_TRUE(std::filesystem::is_empty(target.path()));
}

TEST_F(TokenizerTest, ReadsAddedTokens) {
  const TemporaryDirectory target;
  copy_to(target.path());
  write_file(
      target / "tokenizer.json",
      R"({"added_tokens":[
        {"id":400,"content":"<tool>","special":true},
        {"id":401,"content":"<tool>>","special":false,"lstrip":true},
        {"id":399,"content":"<renamed>","special":false}]})");
  const auto tokenizer = Tokenizer::load(target.path());
  EXPECT_EQ(tokenizer->vocab_size(), 402);
  EXPECT_EQ(tokenizer->encode("<tool>"), std::vector<std::int32_t>{400});
  // The longest wins, and it swallows the space before it.
  EXPECT_EQ(tokenizer->encode(" <tool>>"), std::vector<std::int32_t>{401});
  EXPECT_EQ(tokenizer->piece(399), "<renamed>");
  EXPECT_EQ(tokenizer->encode("<renamed>"), std::vector<std::int32_t>{399});
  auto ids = tokenizer->encode("Vik");
  ids.insert(ids.end(), {400, 401, 399});
  EXPECT_EQ(tokenizer->decode(ids), "Vik<tool>><renamed>");
  EXPECT_NE(tokenizer->hash(), tokenizer_->hash());
}

TEST_F(TokenizerTest, TheConfigDecidesOnBosAndNamesEos) {
  const TemporaryDirectory target;
  copy_to(target.path());
  write_file(
      target / "tokenizer_config.json",
      R"({"add_bos_token":false,"eos_token":{"content":"<end_of_turn>"}})");
  const auto tokenizer = Tokenizer::load(target.path());
  EXPECT_EQ(tokenizer->encode_prompt("Vik"), tokenizer->encode("Vik"));
  EXPECT_EQ(tokenizer->eos(), 5);
  // Control pieces of the model are special although nothing lists them.
  EXPECT_EQ(tokenizer->encode("<bos>"), std::vector<std::int32_t>{2});
}

TEST_F(TokenizerTest, NamesWhatIsWrong) {
  const TemporaryDirectory target;
  const auto load = [&] { Tokenizer::load(target.path()); };
  expect_error(ErrorCode::kNotFound, {"tokenizer.model"}, load);
  expect_error(ErrorCode::kNotFound, {"nowhere"}, [&] { Tokenizer::load(target / "nowhere"); });
  write_file(target / "tokenizer.json", "{}");
  expect_error(ErrorCode::kCorrupt, {"tokenizer.json", "model"}, load);
  const std::string model = read_file(*directory_ / "tokenizer.model");
  for (const std::string& damaged :
       {std::string(), std::string("not a model"), model.substr(0, model.size() / 2)}) {
    write_file(target / "tokenizer.model", damaged);
    expect_error(ErrorCode::kCorrupt, {"tokenizer.model"}, load);
  }
  write_file(target / "tokenizer.model", model);
  write_file(target / "tokenizer.json", R"({"added_tokens":[{"id":-5,"content":"x"}]})");
  expect_error(ErrorCode::kCorrupt, {"tokenizer.json", "-5"}, load);
  write_file(target / "tokenizer.json", R"({"added_tokens":[{"id":5}]})");
  expect_error(ErrorCode::kCorrupt, {"tokenizer.json", "content"}, load);
  write_file(target / "tokenizer.json", "{");
  expect_error(ErrorCode::kCorrupt, {"tokenizer.json"}, load);
  write_file(target / "tokenizer.json", "{}");
  write_file(target / "tokenizer_config.json", R"({"eos_token":"<none>"})");
  expect_error(ErrorCode::kCorrupt, {"tokenizer_config.json", "<none>"}, load);
  write_file(target / "tokenizer_config.json", R"({"added_tokens_decoder":{"x":{}}})");
  expect_error(ErrorCode::kCorrupt, {"tokenizer_config.json", "'x'"}, load);
  std::filesystem::remove(target / "tokenizer.model");
  std::filesystem::create_directory(target / "tokenizer.model");
  expect_error(ErrorCode::kCorrupt, {"tokenizer.model", "directory"}, load);
}

} // namespace
} // namespace errata
