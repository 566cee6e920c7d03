#include "core/tokenizer_training.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/tokenizer_json.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>
#include <sstream>
#include <unordered_map>

namespace errata {
namespace {

// Ids as Gemma has them.
const std::vector<AddedToken>& symbols() {
  static const std::vector<AddedToken> list = {
      {0, "<pad>", true},
      {1, "<eos>", true},
      {2, "<bos>", true},
      {3, "<unk>", true},
      {4, "<start_of_turn>", true},
      {5, "<end_of_turn>", true},
      {6, "\n", false}};
  return list;
}

// Lines in memory: the trainer would otherwise read a file.
class Lines final : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      std::istringstream in(text);
      for (std::string line; std::getline(in, line);) {
        lines_.push_back(line);
      }
    }
  }

  bool empty() const { return lines_.empty(); }
  bool done() const override { return place_ == lines_.size(); }
  void Next() override { ++place_; }
  const std::string& value() const override { return lines_[place_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::vector<std::string> lines_;
  std::size_t place_ = 0;
};

std::unordered_map<std::string, std::string> trainer_settings(
    const TokenizerTrainingOptions& options) {
  return {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(options.vocab_size)},
      {"hard_vocab_limit", "false"}, // little text has fewer pieces
      {"character_coverage", std::to_string(options.character_coverage)},
      {"max_sentence_length", std::to_string(options.max_line_bytes)},
      {"byte_fallback", "true"},
      {"split_digits", "true"},
      {"add_dummy_prefix", "false"},
      {"remove_extra_whitespaces", "false"},
      {"normalization_rule_name", "identity"},
      {"pad_id", "0"},
      {"eos_id", "1"},
      {"bos_id", "2"},
      {"unk_id", "3"},
      {"pad_piece", symbols()[0].content},
      {"eos_piece", symbols()[1].content},
      {"bos_piece", symbols()[2].content},
      {"unk_piece", symbols()[3].content},
      {"user_defined_symbols", "<start_of_turn>,<end_of_turn>,\n"},
      {"minloglevel", "2"},
  };
}

OrderedJson tokenizer_config() {
  OrderedJson added = OrderedJson::object();
  for (const AddedToken& symbol : symbols()) {
    added[std::to_string(symbol.id)] = {
        {"content", symbol.content},
        {"lstrip", false},
        {"normalized", false},
        {"rstrip", false},
        {"single_word", false},
        {"special", symbol.special}};
  }
  return {
      {"add_bos_token", true},
      {"add_eos_token", false},
      {"added_tokens_decoder", added},
      {"bos_token", "<bos>"},
      {"clean_up_tokenization_spaces", false},
      {"eos_token", "<eos>"},
      // The class's default would be one token more than the vocabulary has.
      {"mask_token", nullptr},
      {"pad_token", "<pad>"},
      {"tokenizer_class", "GemmaTokenizer"},
      {"unk_token", "<unk>"}};
}

// What the model file holds, for readers without SentencePiece.
OrderedJson fast_tokenizer(const std::string& model) {
  sentencepiece::SentencePieceProcessor processor;
  ERRATA_CHECK(
      processor.LoadFromSerializedProto(model).ok(),
      ErrorCode::kInternal,
      "the trained tokenizer cannot be read back");
  std::vector<VocabularyPiece> pieces;
  const auto count = static_cast<std::size_t>(processor.GetPieceSize());
  for (std::size_t i = 0; i < count; ++i) {
    const int id = static_cast<int>(i);
    pieces.push_back({processor.IdToPiece(id), i >= symbols().size() && !processor.IsByte(id)});
  }
  return tokenizer_json(pieces, symbols(), symbols()[3].content, symbols()[2]);
}

} // namespace

void train_tokenizer(
    const std::vector<std::string>& texts,
    const TokenizerTrainingOptions& options,
    const std::filesystem::path& directory) {
  Lines lines(texts);
  ERRATA_CHECK(
      !lines.empty(), ErrorCode::kInvalidArgument, "no text to train a tokenizer's vocabulary on");
  std::string model;
  const auto status =
      sentencepiece::SentencePieceTrainer::Train(trainer_settings(options), &lines, &model);
  ERRATA_CHECK(
      status.ok(),
      ErrorCode::kInvalidArgument,
      "cannot train a vocabulary of ",
      options.vocab_size,
      " pieces on this text: ",
      status.message());
  make_directories(directory);
  write_file(directory / "tokenizer.model", model);
  write_json(directory / "tokenizer.json", fast_tokenizer(model));
  write_json(directory / "tokenizer_config.json", tokenizer_config());
}

} // namespace errata
