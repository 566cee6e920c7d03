// score, modules and doctor through `cli::run`: what they print, and what they say about
// bad input.

#include "core/base/files.h"
#include "core/safetensors.h"
#include "tests/cli/small_model.h"
#include "tests/support/run_command.h"

#include <cmath>

namespace errata {
namespace {

using testing_support::expect_failure;
using testing_support::Outcome;
using testing_support::run_command;
using testing_support::TemporaryDirectory;

class ModelCommandsTest : public testing_support::SmallModelTest {};

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
