// The commands that open a model, on every family: what they say is what transformers says, and
// what does not fit together is refused with one line.

#include "core/base/files.h"
#include "core/base/json.h"
#include "tests/interop/families_fixture.h"
#include "tests/support/run_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace errata {
namespace {

using testing_support::expect_failure;
using testing_support::family_checkpoints;
using testing_support::kCheckpointName;
using testing_support::Outcome;
using testing_support::run_command;
using testing_support::TemporaryDirectory;

class FamilyCommandsTest : public testing_support::FamiliesInteropTest {
 protected:
  // A copy of the checkpoint that a test may spoil.
  std::filesystem::path spoilable() const {
    std::filesystem::copy(path(), copy_ / "model");
    return copy_ / "model";
  }
  static void expect_corrupt(
      const std::filesystem::path& model, const std::vector<std::string>& parts) {
    expect_failure({"score", "--model", model.string(), "--tokens", "1,2,3"}, 4, parts);
  }

  TemporaryDirectory copy_;
};

TEST_P(FamilyCommandsTest, GenerateContinuesAText) {
  const Outcome outcome = run_command(
      {"generate",
       "--model",
       path().string(),
       "--prompt",
       reference()["prompt"],
       "--max-new-tokens",
       "12",
       "--dtype",
       "float32",
       "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["results"][0]["tokens"], reference()["prompt_greedy"]);
}

TEST_P(FamilyCommandsTest, ModulesAreThoseOfTransformers) {
  const Outcome outcome = run_command(
      {"modules", "--model", path().string(), "--target-modules", "all-linear", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::vector<std::string> names;
  const Json result = outcome.json();
  for (const Json& module : result["modules"]) {
    names.push_back(module["name"]);
  }
  EXPECT_THAT(
      names,
      testing::UnorderedElementsAreArray(reference()["linears"].get<std::vector<std::string>>()));
}

TEST_P(FamilyCommandsTest, DoctorFindsItSound) {
  const Outcome outcome = run_command({"doctor", "--model", path().string(), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["model"]["parameters"], reference()["parameters"]);
  EXPECT_TRUE(outcome.json()["ok"]);
}

TEST_P(FamilyCommandsTest, AConfigThatContradictsTheTensorsIsRefused) {
  const auto model = spoilable();
  const Json config = read_json(model / "config.json");
  bool tried = false;
  for (const char* field :
       {"vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "intermediate_size",
        "n_layer",
        "n_embd"}) {
    if (!config.contains(field)) {
      continue;
    }
    tried = true;
    Json changed = config;
    // Still divisible by whatever must divide it.
    changed[field] = 2 * config[field].get<std::int64_t>();
    if (std::string(field) == "num_hidden_layers" && config.contains("layer_types")) {
      const Json& types = config["layer_types"];
      changed["layer_types"].insert(changed["layer_types"].end(), types.begin(), types.end());
    }
    write_file(model / "config.json", changed.dump());
    expect_corrupt(model, {"config.json"});
  }
  EXPECT_TRUE(tried);
}

TEST_P(FamilyCommandsTest, ATokenizerOfAnotherVocabularyIsRefused) {
  const auto model = spoilable();
  Json tokenizer = read_json(model / "tokenizer.json");
  Json& vocabulary = tokenizer["model"]["vocab"];
  for (int id = static_cast<int>(vocabulary.size()); id < 300; ++id) {
    vocabulary["x" + std::to_string(id)] = id;
  }
  write_file(model / "tokenizer.json", tokenizer.dump());
  expect_corrupt(model, {"model", "300 ids"});
}

TEST_P(FamilyCommandsTest, CutAndLyingWeightsAreRefused) {
  const auto model = spoilable();
  for (const auto& entry : std::filesystem::directory_iterator(model)) {
    if (entry.path().extension() != ".safetensors") {
      continue;
    }
    const std::string name = entry.path().filename();
    const std::string whole = read_file(entry.path());
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{5}, whole.size() / 2, whole.size() - 1}) {
      write_file(entry.path(), whole.substr(0, size));
      expect_corrupt(model, {name});
    }
    std::string lying = whole;
    lying[7] = '\x7f'; // a header of 2^62 bytes
    write_file(entry.path(), lying);
    expect_corrupt(model, {name});
    write_file(entry.path(), whole);
  }
  EXPECT_EQ(run_command({"score", "--model", model.string(), "--tokens", "1,2,3"}).code, 0);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, FamilyCommandsTest, family_checkpoints(), kCheckpointName);

} // namespace
} // namespace errata
