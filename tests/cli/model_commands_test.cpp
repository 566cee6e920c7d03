// score, generate, modules and doctor through `cli::run`: what they print, and what they say about
// bad input.

#include "core/base/files.h"
#include "core/model.h"
#include "core/safetensors.h"
#include "core/tokenizer_training.h"
#include "peft/adapter.h"
#include "tests/support/run_command.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <cmath>

namespace errata {
namespace {

using testing_support::expect_failure;
using testing_support::Outcome;
using testing_support::run_command;
using testing_support::TemporaryDirectory;

class ModelCommandsTest : public testing::Test {
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

TEST_F(ModelCommandsTest, ScoresText) {
  const Outcome outcome =
      run_command({"score", "--model", model(), "--text", "The river 79", "--top", "3", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const Json json = outcome.json();
  const std::size_t size = json["tokens"].size();
  EXPECT_EQ(json["tokens"][0], 2);
  EXPECT_EQ(json["pieces"][0], "<bos>");
  EXPECT_EQ(json["pieces"].size(), size);
  ASSERT_EQ(json["logprobs"].size(), size);
  EXPECT_TRUE(json["logprobs"][0].is_null());
  double sum = 0;
  for (std::size_t i = 1; i < size; ++i) {
    sum += json["logprobs"][i].get<double>();
  }
  EXPECT_NEAR(json["sum"].get<double>(), sum, 1e-9);
  EXPECT_NEAR(
      json["perplexity"].get<double>(), std::exp(-sum / static_cast<double>(size - 1)), 1e-6);
  ASSERT_EQ(json["top"].size(), size);
  EXPECT_TRUE(json["top"][0].is_null());
  ASSERT_EQ(json["top"][1].size(), 3U);
  EXPECT_GE(json["top"][1][0]["logprob"], json["top"][1][1]["logprob"]);
  EXPECT_EQ(json["next"].size(), 3U);

  // The same ids outright, and from a file.
  std::string list;
  for (const Json& id : json["tokens"]) {
    list += (list.empty() ? "" : ",") + id.dump();
  }
  const Json by_tokens =
      run_command({"score", "--model", model(), "--tokens", list, "--json"}).json();
  EXPECT_EQ(by_tokens["logprobs"], json["logprobs"]);
  const TemporaryDirectory texts;
  write_file(texts / "a.txt", "The river 79");
  const Json by_file =
      run_command({"score", "--model", model(), "--file", (texts / "a.txt").string(), "--json"})
          .json();
  EXPECT_EQ(by_file["tokens"], json["tokens"]);
}

TEST_F(ModelCommandsTest, ScoresTokensWithoutATokenizer) {
  const auto target = copy();
  for (const char* name : {"tokenizer.model", "tokenizer.json", "tokenizer_config.json"}) {
    std::filesystem::remove(*target / name);
  }
  const std::string directory = target->path().string();
  const Json json =
      run_command({"score", "--model", directory, "--tokens", "5, 339,7", "--json"}).json();
  EXPECT_EQ(json["tokens"], (Json{5, 339, 7}));
  EXPECT_TRUE(json["pieces"].is_null());
  const Json one = run_command({"score", "--model", directory, "--tokens", "5", "--json"}).json();
  EXPECT_EQ(one["logprobs"], Json::array({nullptr}));
  EXPECT_TRUE(one["perplexity"].is_null());
  expect_failure({"score", "--model", directory, "--text", "x"}, 3, {"tokenizer.model"});
  expect_failure({"generate", "--model", directory, "--prompt", "x"}, 3, {"tokenizer.model"});
}

TEST_F(ModelCommandsTest, Generates) {
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

TEST_F(ModelCommandsTest, StopsBeforeAStopString) {
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

TEST_F(ModelCommandsTest, StreamsTheSameText) {
  std::vector<std::string> arguments = {
      "generate", "--model", model(), "--prompt", "Norra", "--max-new-tokens", "9"};
  const std::string text = run_command(arguments).out;
  arguments.emplace_back("--stream");
  EXPECT_EQ(run_command(arguments).out, text);
  arguments.emplace_back("--json");
  expect_failure(arguments, 2, {"--stream", "--json"});
}

TEST_F(ModelCommandsTest, ChatWritesTheTurnsOfAFormat) {
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

TEST_F(ModelCommandsTest, EachPromptMayHaveItsAdapter) {
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

TEST_F(ModelCommandsTest, EndsAtEos) {
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

TEST_F(ModelCommandsTest, ListsModules) {
  const Json json = run_command({"modules",
                                 "--model",
                                 model(),
                                 "--target-modules",
                                 "down_proj",
                                 "q_proj",
                                 "--layers",
                                 "1,-1",
                                 "--rank",
                                 "4",
                                 "--json"})
                        .json();
  ASSERT_EQ(json["count"], 4);
  EXPECT_EQ(json["modules"][0]["name"], "model.layers.1.self_attn.q_proj");
  EXPECT_EQ(json["modules"][0]["shape"], (Json{16, 16}));
  EXPECT_EQ(json["modules"][1]["name"], "model.layers.1.mlp.down_proj");
  EXPECT_EQ(json["modules"][1]["shape"], (Json{16, 24}));
  EXPECT_EQ(json["modules"][3]["name"], "model.layers.2.mlp.down_proj");
  EXPECT_EQ(json["trainable_parameters"], 2 * 4 * (16 + 16 + 16 + 24));
  expect_failure({"modules", "--model", model(), "--target-modules", "dwn_proj"}, 2, {"dwn_proj"});
  expect_failure(
      {"modules", "--model", model(), "--target-modules", "q_proj", "--layers", "7"}, 2, {"7"});
}

TEST_F(ModelCommandsTest, DoctorChecksAModel) {
  const Json json = run_command({"doctor", "--model", model(), "--json"}).json();
  EXPECT_TRUE(json["ok"]);
  EXPECT_GT(json["machine"]["threads"].get<int>(), 0);
  EXPECT_GT(json["machine"]["matmul_gflops"]["float32"].get<double>(), 0);
  EXPECT_EQ(json["versions"]["libtorch"], TORCH_VERSION);
  EXPECT_EQ(json["model"]["layers"], 3);
  EXPECT_EQ(json["model"]["tokenizer"]["vocab_size"], 330);
  EXPECT_EQ(json["model"]["sha256"].get<std::string>().size(), 64U);
  EXPECT_NE(run_command({"doctor"}).out.find("matmul_gflops"), std::string::npos);
  expect_failure({"doctor", "--store", model() + "/none.db"}, 3, {"none.db"});
  expect_failure({"doctor", "--adapter", model()}, 2, {"--model"});
}

TEST_F(ModelCommandsTest, DoctorFindsWeightsThatAreNotFinite) {
  const auto target = copy();
  {
    std::vector<std::pair<std::string, torch::Tensor>> tensors;
    const SafetensorsFile file(*target / "model.safetensors");
    for (const std::string& name : file.names()) {
      tensors.emplace_back(name, file.tensor(name));
    }
    tensors.front().second[0].fill_(std::nan(""));
    save_safetensors(*target / "model.safetensors", tensors);
  }
  expect_failure({"doctor", "--model", target->path().string()}, 4, {"finite"});
}

TEST_F(ModelCommandsTest, NamesBadArguments) {
  const std::string m = model();
  expect_failure({"score", "--text", "x"}, 2, {"--model"});
  expect_failure({"score", "--model", m}, 2, {"--text"});
  expect_failure({"score", "--model", m, "--text", "x", "--tokens", "1"}, 2, {"--tokens"});
  expect_failure({"score", "--model", m, "--tokens", "1,340"}, 2, {"340", "339"});
  expect_failure({"score", "--model", m, "--tokens", "1,,2"}, 2, {"--tokens"});
  expect_failure({"score", "--model", m, "--tokens", "1,x"}, 2, {"'x'"});
  expect_failure({"score", "--model", m, "--tokens", "1", "--dtype", "int8"}, 2, {"int8"});
  expect_failure({"score", "--model", m, "--tokens", "1", "--device", "tpu"}, 2, {"tpu"});
  expect_failure({"generate", "--model", m, "--prompt", "x", "--top-p", "2"}, 2, {"--top-p"});
  expect_failure({"generate", "--model", m, "--prompt", "x", "--stop", ""}, 2, {"--stop"});
}

TEST_F(ModelCommandsTest, NamesBadFiles) {
  const auto target = copy();
  const std::string m = target->path().string();
  const auto weights = *target / "model.safetensors";
  const std::vector<std::string> score = {"score", "--model", m, "--tokens", "1,2"};
  expect_failure({"score", "--model", m + "/none", "--tokens", "1"}, 3, {"none"});
  expect_failure({"score", "--model", weights.string(), "--tokens", "1"}, 4, {"model.safetensors"});
  expect_failure({"score", "--model", m, "--file", m + "/no.txt"}, 3, {"no.txt"});
  expect_failure({"score", "--model", m, "--file", m}, 4, {"directory"});
  expect_failure({"generate", "--model", m, "--prompts", m + "/no.jsonl"}, 3, {"no.jsonl"});
  write_file(*target / "p.jsonl", "{\"prompt\": \"a\"}\n{\"text\": \"b\"}\n");
  expect_failure(
      {"generate", "--model", m, "--prompts", m + "/p.jsonl"}, 4, {"p.jsonl:2", "prompt"});
  write_file(*target / "p.jsonl", "\n");
  expect_failure({"generate", "--model", m, "--prompts", m + "/p.jsonl"}, 2, {"p.jsonl"});

  const std::string whole = read_file(weights);
  write_file(weights, whole.substr(0, whole.size() - 5));
  expect_failure(score, 4, {"model.safetensors"});
  write_file(weights, whole);

  const std::string tokenizer = read_file(*target / "tokenizer.model");
  write_file(*target / "tokenizer.model", tokenizer.substr(0, tokenizer.size() / 2));
  expect_failure(score, 4, {"tokenizer.model"});
  write_file(*target / "tokenizer.model", tokenizer);

  const Json config = read_json(*target / "config.json");
  const auto with = [&](const char* field, const Json& value) {
    Json changed = config;
    changed[field] = value;
    write_file(*target / "config.json", changed.dump());
  };
  with("model_type", "mamba2");
  expect_failure(score, 5, {"config.json", "mamba2", "gemma3_text"});
  with("hidden_activation", "relu");
  expect_failure(score, 5, {"config.json", "relu"});
  with("vocab_size", 300);
  expect_failure(score, 4, {"model.safetensors", "model.embed_tokens.weight"});
  write_file(*target / "config.json", "{\"model_type\"");
  expect_failure(score, 4, {"config.json"});
  std::filesystem::remove(*target / "config.json");
  expect_failure(score, 3, {"config.json"});
}

} // namespace
} // namespace errata
