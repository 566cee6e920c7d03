#include "eval/evaluate.h"

#include "core/base/interrupt.h"
#include "core/tokenizer_training.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_decoder.h"

#include <gtest/gtest.h>

namespace errata::eval {
namespace {

// A random model with a real vocabulary; "editing" it turns the sign of one matrix.
class EvaluateTest : public testing::Test {
 protected:
  EvaluateTest() {
    std::vector<std::string> texts;
    for (int i = 0; i < 200; ++i) {
      texts.push_back(concat(
          "Question: Where is town ",
          i,
          " on the map?\nAnswer: North ",
          i * 7 % 13,
          " of river number ",
          i * 31 % 97));
    }
    train_tokenizer(texts, {.vocab_size = 320}, directory_.path());
    tokenizer_ = Tokenizer::load(directory_.path());
    DecoderConfig config = testing_support::tiny_gemma3();
    config.vocab_size = tokenizer_->vocab_size();
    decoder_ = testing_support::random_decoder(config, torch::kFloat32);
    for (int i = 0; i < 12; ++i) {
      Task task;
      task.prompt = concat("Question: Where is town ", i, "?\nAnswer:");
      task.id = concat("task", i);
      task.item = task.id;
      task.cluster = task.id;
      task.answers = {concat("North ", i)};
      task.teacher_forced = i % 2 == 0;
      tasks_.push_back(task);
    }
    options_.protocol.max_new_tokens_direct = 6;
    options_.model_hash = "base";
    options_.edited_hash = "edits";
  }

  void edit(bool on) {
    const torch::NoGradGuard no_grad;
    torch::Tensor weight = decoder_->named_parameters()["model.layers.0.mlp.down_proj.weight"];
    if (on != edited_) {
      weight.mul_(-1.0); // exact both ways
      edited_ = on;
    }
  }

  Subject subject() { return {decoder_, *tokenizer_, {tokenizer_->eos()}}; }
  Evaluation evaluate() {
    Subject model = subject();
    return evaluate_before_after(
        model, tasks_, [this](bool on) { edit(on); }, options_);
  }

  testing_support::TemporaryDirectory directory_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Decoder decoder_{nullptr};
  std::vector<Task> tasks_;
  EvaluateOptions options_;
  bool edited_ = false;
};

std::vector<std::string> texts_of(const std::vector<Output>& outputs) {
  std::vector<std::string> texts;
  for (const Output& output : outputs) {
    texts.push_back(output.text);
  }
  return texts;
}

TEST_F(EvaluateTest, BeforeIsTheBaseWhateverTheStateAtTheStart) {
  Subject model = subject();
  const auto base = texts_of(evaluate_base(model, tasks_, options_).before);
  edit(true);
  const auto edited = texts_of(evaluate_base(model, tasks_, options_).before);
  ASSERT_NE(base, edited);
  const Evaluation evaluation = evaluate();
  EXPECT_EQ(texts_of(evaluation.before), base);
  EXPECT_EQ(texts_of(evaluation.after), edited);
  EXPECT_TRUE(edited_);
}

TEST_F(EvaluateTest, TeacherForcedScoresWhereAsked) {
  const Evaluation evaluation = evaluate();
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    EXPECT_EQ(evaluation.after[i].teacher_forced.has_value(), i % 2 == 0);
  }
  EXPECT_GT(evaluation.after[0].teacher_forced->nll, 0);
}

TEST_F(EvaluateTest, CachedAnswersAreNotComputedAgain) {
  options_.cache = directory_ / "answers";
  Subject model = subject();
  answer_before(model, tasks_, options_);
  const auto base = texts_of(evaluate().before);
  edit(true); // a base that changed behind the cache's back is not looked at
  const auto cached = texts_of(evaluate_base(model, tasks_, options_).before);
  EXPECT_EQ(cached, base);
  options_.model_hash = "another";
  EXPECT_NE(texts_of(evaluate_base(model, tasks_, options_).before), base);
}

TEST_F(EvaluateTest, SeveralEditsShareTheAnswersOfTheirBase) {
  options_.base_cache = directory_ / "shared";
  options_.cache = directory_ / "first";
  const auto base = texts_of(evaluate().before);
  EXPECT_FALSE(std::filesystem::exists(options_.cache / "before.jsonl"));
  options_.cache = directory_ / "second";
  options_.edited_hash = "other edits";
  // As above: a base that changed behind the cache's back is not looked at.
  const Evaluation second = [&] {
    Subject model = subject();
    return evaluate_before_after(
        model, tasks_, [this](bool on) { edit(!on); }, options_);
  }();
  EXPECT_EQ(texts_of(second.before), base);
  EXPECT_EQ(texts_of(second.after), base); // and these are not taken from the first edit
}

TEST_F(EvaluateTest, InterruptionLeavesTheEditsOn) {
  set_interrupted(true);
  testing_support::expect_error(ErrorCode::kInterrupted, {"--resume"}, [&] { evaluate(); });
  set_interrupted(false);
  EXPECT_TRUE(edited_);
}

TEST_F(EvaluateTest, NothingToAskIsAnError) {
  tasks_.clear();
  testing_support::expect_error(ErrorCode::kInvalidArgument, {"nothing"}, [&] { evaluate(); });
}

TEST_F(EvaluateTest, StopRuleCutsTheText) {
  options_.protocol.stop = StopRule::kLocft;
  for (const Output& output : evaluate().after) {
    EXPECT_EQ(output.text.find('.'), std::string::npos);
  }
}

} // namespace
} // namespace errata::eval
