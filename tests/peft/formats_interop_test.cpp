#include "core/base/json.h"
#include "peft/adapter.h"
#include "peft/export.h"
#include "tests/peft/judged_test.h"

namespace errata::peft {
namespace {

const std::vector<std::string> kFamilies = {"llama", "gemma3", "gpt2"};
// peft_judge.py's adapters: one rank and alpha, rsLoRA, mixed ranks and alphas on some layers.
const std::vector<std::string> kPatterned = {"lora", "rslora", "patterns"};

// Embedding and head where they are two; elsewhere the formats hold neither.
std::vector<std::string> adapters_of(const std::string& family) {
  if (family == "gpt2") {
    return {"every-linear", "rslora"};
  }
  std::vector<std::string> names = kPatterned;
  if (family == "llama") {
    names.emplace_back("both-tables");
  }
  return names;
}

// GGUF and mlx-lm files against the gguf package, mlx-lm's published formula and PEFT
// (tests/peft/formats_judge.py).
class FormatsInteropTest : public JudgedTest {
 protected:
  static void SetUpTestSuite() {
    JudgedTest::SetUpTestSuite();
    if (!judge_is_here()) {
      return;
    }
    std::vector<std::string> commands;
    for (const std::string& family : kFamilies) {
      commands.push_back(concat("make-model ", model_path(family), " ", family));
      for (const std::string& name : adapters_of(family)) {
        commands.push_back(
            concat("make-adapter ", model_path(family), " ", adapter(family, name), " ", name));
      }
    }
    judge("peft_judge.py", commands);
  }

  static std::string model_path(const std::string& family) { return path(family); }
  static std::string adapter(const std::string& family, const std::string& name) {
    return path(family + "-" + name);
  }

  static std::vector<double> own_score(const std::string& family) {
    Model model = load_model(model_path(family));
    return JudgedTest::own_score(model.decoder);
  }
  static std::vector<double> own_score(const std::string& family, const std::string& name) {
    Model model = load_model(model_path(family));
    const auto attached = load_adapter(model.decoder, name);
    return JudgedTest::own_score(model.decoder);
  }
};

TEST_F(FormatsInteropTest, TheGgufPackageReadsPeftsDeltas) {
  std::vector<std::string> commands;
  for (const std::string& family : kFamilies) {
    for (const std::string& name : adapters_of(family)) {
      const std::string file = adapter(family, name) + ".gguf";
      export_gguf(model_path(family), adapter(family, name), file);
      commands.push_back(
          concat("check-gguf ", model_path(family), " ", adapter(family, name), " ", file));
    }
  }
  const std::vector<Json> answers = judge("formats_judge.py", commands);
  ASSERT_EQ(answers.size(), 9);
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
  std::vector<std::string> made;
  std::vector<std::string> scores;
  for (const std::string& family : kFamilies) {
    for (const std::string& name : adapters_of(family)) {
      made.push_back(concat(
          "make-gguf ",
          model_path(family),
          " ",
          adapter(family, name),
          " ",
          adapter(family, name),
          "-theirs.gguf"));
      scores.push_back(concat("score ", model_path(family), " ", adapter(family, name)));
    }
  }
  judge("formats_judge.py", made);
  const auto answers = peft_scores(scores);
  std::size_t i = 0;
  for (const std::string& family : kFamilies) {
    const std::vector<double> base = own_score(family);
    for (const std::string& name : adapters_of(family)) {
      const std::vector<double>& expected = answers.at(i++);
      EXPECT_GT(distance(expected, base), 0.05) << "the adapter must matter";
      EXPECT_LT(
          distance(own_score(family, adapter(family, name) + "-theirs.gguf"), expected), kTolerance)
          << family << " " << name;
    }
  }
}

TEST_F(FormatsInteropTest, MlxLmsFormulaGivesPeftsDeltas) {
  std::vector<std::string> commands;
  for (const std::string& family : kFamilies) {
    for (const std::string& name : adapters_of(family)) {
      export_mlx(model_path(family), adapter(family, name), adapter(family, name) + "-mlx");
      commands.push_back(concat(
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
  ASSERT_EQ(answers.size(), 9);
  for (const Json& answer : answers) {
    EXPECT_LT(answer.at("distance"), 1e-5) << answer;
    EXPECT_EQ(answer.at("idle"), 0) << "adapters that mlx-lm would make for nothing: " << answer;
  }
  EXPECT_EQ(answers[0].at("scale"), 1.5);
  EXPECT_NEAR(answers[1].at("scale"), 2.0, 1e-12);
}

TEST_F(FormatsInteropTest, ErrataReadsMlxLmsLayout) {
  std::vector<std::string> made;
  std::vector<std::string> scores;
  for (const std::string& family : kFamilies) {
    const std::string name = adapters_of(family).front();
    made.push_back(concat(
        "make-mlx ",
        model_path(family),
        " ",
        adapter(family, name),
        " ",
        path(family + "-their-mlx")));
    scores.push_back(concat("score ", model_path(family), " ", adapter(family, name)));
  }
  judge("formats_judge.py", made);
  const auto answers = peft_scores(scores);
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    const std::vector<double>& expected = answers.at(i);
    EXPECT_LT(
        distance(own_score(kFamilies[i], path(kFamilies[i] + "-their-mlx")), expected), kTolerance)
        << kFamilies[i];
  }
}

// One table for both: llama.cpp and mlx-lm would change the two together.
TEST_F(FormatsInteropTest, TablesOfTiedModelsAreRefusedWithTheWayOut) {
  const std::string model = model_path("gemma3");
  for (const std::string name : {"embedding", "head"}) {
    judge(
        "peft_judge.py", {concat("make-adapter ", model, " ", adapter("gemma3", name), " ", name)});
    for (const bool gguf : {true, false}) {
      try {
        gguf ? export_gguf(model, adapter("gemma3", name), path("refused.gguf"))
             : export_mlx(model, adapter("gemma3", name), path("refused"));
        ADD_FAILURE() << name;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
        EXPECT_NE(std::string(error.what()).find("tied"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("--to merged"), std::string::npos);
      }
    }
  }
}

} // namespace
} // namespace errata::peft
