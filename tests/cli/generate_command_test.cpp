// generate through `cli::run`: texts, stops, chat formats, an adapter for each prompt.

#include "core/base/files.h"
#include "peft/adapter.h"
#include "tests/cli/small_model.h"
#include "tests/support/run_command.h"

namespace errata {
namespace {

using testing_support::expect_failure;
using testing_support::Outcome;
using testing_support::run_command;
using testing_support::TemporaryDirectory;

class GenerateCommandTest : public testing_support::SmallModelTest {};

TEST_F(GenerateCommandTest, Generates) {
  const TemporaryDirectory files;
  write_file(files / "p.jsonl", "{\"prompt\": \"The river\"}\n\n{\"prompt\": \"Norra\"}\n");
  const Json json = run_command({"generate",
                                 "--model",
                                 model(),
                                 "--prompts",
                                 (files / "p.jsonl").string(),
                                 "--max-new-tokens",
                                 "6",
                                 "--json"})
                        .json();
  ASSERT_EQ(json["results"].size(), 2U);
  EXPECT_EQ(json["results"][0]["prompt"], "The river");
  EXPECT_GT(json["tokens_per_second"].get<double>(), 0);
  for (const Json& result : json["results"]) {
    EXPECT_LE(result["tokens"].size(), 6U);
    EXPECT_TRUE(result["text"].is_string());
    EXPECT_EQ(result["finish"] == "length", result["tokens"].size() == 6);
  }
  const Outcome readable =
      run_command({"generate", "--model", model(), "--prompt", "Norra", "--max-new-tokens", "6"});
  EXPECT_EQ(readable.out, "Norra" + json["results"][1]["text"].get<std::string>() + "\n");
}

TEST_F(GenerateCommandTest, StopsBeforeAStopString) {
  const std::vector<std::string> base = {
      "generate",
      "--model",
      model(),
      "--prompt",
      "The river",
      "--max-new-tokens",
      "24",
      "--json",
      "--temperature",
      "1",
      "--seed",
      "5"};
  const Json whole = run_command(base).json()["results"][0];
  const std::string text = whole["text"];
  ASSERT_GT(text.size(), 8U);
  // A string inside the text that is certainly produced.
  std::size_t place = text.size() / 2;
  while (place > 0 && (static_cast<unsigned char>(text[place]) & 0xC0) == 0x80) {
    --place;
  }
  const std::string stop = text.substr(place, 4);
  std::vector<std::string> arguments = base;
  arguments.push_back("--stop=" + stop);
  const Json stopped = run_command(arguments).json()["results"][0];
  EXPECT_EQ(stopped["finish"], "stop");
  EXPECT_EQ(stopped["text"], text.substr(0, text.find(stop)));
  // Shown as it comes, nothing of the stop string is seen either.
  std::vector<std::string> shown = arguments;
  std::erase(shown, "--json");
  shown.emplace_back("--stream");
  EXPECT_EQ(run_command(shown).out, "The river" + text.substr(0, text.find(stop)) + "\n");
  EXPECT_LE(stopped["tokens"].size(), whole["tokens"].size());
}

TEST_F(GenerateCommandTest, StreamsTheSameText) {
  std::vector<std::string> arguments = {
      "generate", "--model", model(), "--prompt", "Norra", "--max-new-tokens", "9"};
  const std::string text = run_command(arguments).out;
  arguments.emplace_back("--stream");
  EXPECT_EQ(run_command(arguments).out, text);
  arguments.emplace_back("--json");
  expect_failure(arguments, 2, {"--stream", "--json"});
}

TEST_F(GenerateCommandTest, ChatWritesTheTurnsOfAFormat) {
  const auto generated = [&](std::vector<std::string> rest) {
    std::vector<std::string> arguments = {
        "generate", "--model", model(), "--max-new-tokens", "8", "--json", "--prompt"};
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    return run_command(arguments).json()["results"][0];
  };
  const Json chat = generated({"Where is Norra?", "--chat", "gemma", "--system", "Be short."});
  const Json written = generated(
      {"<start_of_turn>user\nBe short.\n\nWhere is Norra?<end_of_turn>\n<start_of_turn>model\n"});
  EXPECT_EQ(chat["tokens"], written["tokens"]);
  EXPECT_EQ(chat["prompt"], "Where is Norra?");
  EXPECT_NE(chat["tokens"], generated({"Where is Norra?"})["tokens"]);
  const std::vector<std::string> question = {
      "generate", "--model", model(), "--prompt", "x", "--json", "--chat", "auto"};
  EXPECT_EQ(run_command(question).json()["chat"], "gemma");
  expect_failure(
      {"generate", "--model", model(), "--prompt", "x", "--chat", "gemma", "--today", "2026-01"},
      2,
      {"--today", "2026-01", "YYYY-MM-DD"});
  // A tokenizer without the format's tokens is of another family.
  expect_failure(
      {"generate", "--model", model(), "--prompt", "x", "--chat", "qwen2"},
      2,
      {"--chat qwen2", "<|im_end|>"});
  expect_failure(
      {"generate", "--model", model(), "--prompt", "x", "--system", "y"},
      2,
      {"--system", "--chat"});
}

TEST_F(GenerateCommandTest, EachPromptMayHaveItsAdapter) {
  const auto target = copy();
  {
    Model loaded = load_model(model());
    for (const char* name : {"a", "b"}) {
      const auto adapter = peft::attach_adapter(loaded.decoder, peft::AdapterConfig{}, 1);
      {
        const torch::NoGradGuard no_grad;
        for (const auto& [key, tensor] : adapter->named_parameters()) {
          tensor.detach().normal_(0, 1);
        }
      }
      peft::save_adapter(*adapter, *target / name);
    }
  }
  const auto path = [&](const char* name) { return (*target / name).string(); };
  const auto line = [](const std::string& adapter) {
    return Json{{"prompt", "The river"}, {"adapter", adapter}}.dump() + "\n";
  };
  write_file(
      *target / "p.jsonl", line(path("a")) + "{\"prompt\": \"The river\"}\n" + line(path("b")));
  const auto texts = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"generate", "--model", model()});
    arguments.insert(arguments.end(), {"--max-new-tokens", "8", "--dtype", "float32", "--json"});
    const Outcome outcome = run_command(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json()["results"];
  };
  const Json together = texts({"--prompts", path("p.jsonl")});
  ASSERT_EQ(together.size(), 3);
  EXPECT_EQ(together[0]["adapter"], path("a"));
  const std::vector<std::string> prompt = {"--prompt", "The river"};
  EXPECT_EQ(together[1]["tokens"], texts(prompt)[0]["tokens"]);
  for (const auto& [index, name] : {std::pair{0, "a"}, {2, "b"}}) {
    EXPECT_EQ(
        together[index]["tokens"],
        texts({"--prompt", "The river", "--adapter", path(name)})[0]["tokens"]);
  }
  expect_failure(
      {"generate", "--model", model(), "--prompts", path("p.jsonl"), "--adapter", path("a")},
      2,
      {"--adapter", "of their own"});
}

TEST_F(GenerateCommandTest, EndsAtEos) {
  // With every id an end token, nothing is generated.
  const auto target = copy();
  Json all = Json::array();
  for (int i = 0; i < 340; ++i) {
    all.push_back(i);
  }
  write_file(*target / "generation_config.json", Json{{"eos_token_id", all}}.dump());
  const Json json =
      run_command({"generate", "--model", target->path().string(), "--prompt", "Norra", "--json"})
          .json();
  EXPECT_EQ(json["results"][0]["finish"], "eos");
  EXPECT_EQ(json["results"][0]["tokens"], Json::array());
  EXPECT_EQ(json["results"][0]["text"], "");
}

} // namespace
} // namespace errata
