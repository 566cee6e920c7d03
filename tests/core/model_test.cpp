#include "core/model.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "core/safetensors.h"
#include "core/tokenizer_training.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

namespace errata {
namespace {

using testing_support::expect_error;
using testing_support::TemporaryDirectory;
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

DecoderConfig small_config(bool tied = true) {
  DecoderConfig config;
  config.model_type = "gemma3_text";
  config.vocab_size = 61;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.num_heads = 3;
  config.num_kv_heads = 1;
  config.head_dim = 6;
  config.max_positions = 64;
  config.query_scale = 0.5;
  config.embedding_scale = std::sqrt(24.0);
  config.norm_adds_one = config.sandwich_norms = config.qk_norm = true;
  config.tie_word_embeddings = tied;
  config.layers = {{4, {10000, 1}}, {0, {1e6, 2}}};
  return config;
}

Decoder random_decoder(bool tied = true, torch::Dtype dtype = torch::kFloat32) {
  Decoder decoder(small_config(tied), torch::TensorOptions().dtype(dtype));
  decoder->initialise();
  return decoder;
}

torch::Tensor logits_of(Decoder& decoder) {
  const torch::NoGradGuard no_grad;
  const std::vector<std::vector<std::int32_t>> sequences = {{2, 5, 9, 60, 1, 0, 17}};
  return decoder->logits(decoder->hidden(pack(sequences))).to(torch::kFloat32);
}

class ModelTest : public testing_support::SeedingTest {
 protected:
  std::filesystem::path weights() const { return directory_ / "model.safetensors"; }

  // Rewrites the weights after `change`.
  void change_weights(const std::function<void(std::map<std::string, torch::Tensor>&)>& change) {
    std::map<std::string, torch::Tensor> tensors;
    {
      const SafetensorsFile file(weights());
      for (const std::string& name : file.names()) {
        tensors[name] = file.tensor(name).clone();
      }
    }
    change(tensors);
    save_safetensors(weights(), NamedTensors(tensors.begin(), tensors.end()));
  }
  void expect_refused(ErrorCode code, const std::vector<std::string>& parts) {
    expect_error(code, parts, [&] { load_model(directory_.path()); });
  }

  TemporaryDirectory directory_;
};

TEST_F(ModelTest, SavedAndLoadedComputesTheSame) {
  for (const bool tied : {true, false}) {
    Decoder decoder = random_decoder(tied);
    const TemporaryDirectory target;
    save_model(target.path(), decoder, torch::kFloat32, {}, 5'000'000'000, {{"errata.seed", "0"}});
    Model model = load_model(target.path());
    EXPECT_TRUE(torch::equal(logits_of(model.decoder), logits_of(decoder)));
    EXPECT_EQ(model.file_dtype, torch::kFloat32);
    EXPECT_EQ(model.eos, std::vector<std::int64_t>{1});
    EXPECT_EQ(model.hash.size(), 64U);
    EXPECT_FALSE(model.tokenizer);
    for (const torch::Tensor& parameter : model.decoder->parameters()) {
      EXPECT_FALSE(parameter.requires_grad());
    }
    EXPECT_EQ(SafetensorsFile(target / "model.safetensors").metadata().at("errata.seed"), "0");
  }
}

TEST_F(ModelTest, ShardsHoldTheSameModel) {
  Decoder decoder = random_decoder(false);
  save_model(directory_.path(), decoder, torch::kFloat32);
  const std::string hash = load_model(directory_.path()).hash;
  save_model(directory_.path(), decoder, torch::kFloat32, {}, 12'000);
  EXPECT_FALSE(std::filesystem::exists(weights())) << "two sets of weights lie side by side";
  const Json index = read_json(directory_ / "model.safetensors.index.json");
  std::set<std::string> shards;
  std::uint64_t total = 0;
  for (const auto& item : index["weight_map"].items()) {
    shards.insert(item.value());
  }
  for (const std::string& shard : shards) {
    const SafetensorsFile file(directory_ / shard);
    std::uint64_t bytes = 0;
    for (const std::string& name : file.names()) {
      bytes += file.tensor(name).nbytes();
    }
    EXPECT_TRUE(bytes <= 12'000 || file.names().size() == 1) << shard;
    total += bytes;
  }
  EXPECT_GT(shards.size(), 2U);
  EXPECT_EQ(index["metadata"]["total_size"], total);
  Model model = load_model(directory_.path());
  EXPECT_TRUE(torch::equal(logits_of(model.decoder), logits_of(decoder)));
  EXPECT_EQ(model.hash, hash) << "the hash depends on the sharding";
  save_model(directory_.path(), decoder, torch::kFloat32);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "model.safetensors.index.json"));
  EXPECT_EQ(load_model(directory_.path()).hash, hash);
}

TEST_F(ModelTest, MappedWeightsMayBeWrittenAndTheFileStays) {
  save_model(directory_.path(), random_decoder(), torch::kFloat32);
  const std::string before = read_file(weights());
  Model model = load_model(directory_.path());
  {
    const torch::NoGradGuard no_grad;
    for (torch::Tensor parameter : model.decoder->parameters()) {
      parameter.add_(1.0);
    }
  }
  EXPECT_EQ(read_file(weights()), before);
  Model again = load_model(directory_.path());
  EXPECT_FALSE(torch::equal(logits_of(model.decoder), logits_of(again.decoder)));
  EXPECT_EQ(again.hash, model.hash);
}

TEST_F(ModelTest, DtypesAreConverted) {
  Decoder decoder = random_decoder();
  save_model(directory_.path(), decoder, torch::kBFloat16);
  LoadOptions options;
  options.hash = false;
  Model wide = load_model(directory_.path(), options);
  EXPECT_EQ(wide.file_dtype, torch::kBFloat16);
  EXPECT_TRUE(wide.hash.empty());
  for (const auto& item : wide.decoder->named_parameters()) {
    EXPECT_TRUE(torch::equal(
        item.value(),
        decoder->named_parameters()[item.key()].to(torch::kBFloat16).to(torch::kFloat32)))
        << item.key();
  }
  options.dtype = torch::kBFloat16;
  Model narrow = load_model(directory_.path(), options);
  EXPECT_EQ(narrow.decoder->parameters().front().scalar_type(), torch::kBFloat16);
  EXPECT_LT((logits_of(narrow.decoder) - logits_of(wide.decoder)).abs().max().item<float>(), 0.1);
}

TEST_F(ModelTest, ReadsTheTextPartOfMultimodalFiles) {
  Decoder decoder = random_decoder();
  save_model(directory_.path(), decoder, torch::kFloat32);
  Json config = read_json(directory_ / "config.json");
  config["model_type"] = "gemma3_text";
  write_file(
      directory_ / "config.json", Json{{"model_type", "gemma3"}, {"text_config", config}}.dump());
  const std::string plain = read_file(weights());
  for (const std::string prefix : {"language_model.model.", "model.language_model."}) {
    write_file(weights(), plain);
    change_weights([&](auto& tensors) {
      std::map<std::string, torch::Tensor> renamed;
      for (const auto& [name, tensor] : tensors) {
        renamed[prefix + name.substr(6)] = tensor;
      }
      renamed["vision_tower.vision_model.x"] = torch::ones({2});
      renamed["multi_modal_projector.y"] = torch::ones({2});
      tensors = renamed;
    });
    Model model = load_model(directory_.path());
    EXPECT_TRUE(torch::equal(logits_of(model.decoder), logits_of(decoder)));
  }
}

TEST_F(ModelTest, ATiedHeadMayOnlyBeACopy) {
  save_model(directory_.path(), random_decoder(), torch::kFloat32);
  change_weights([](auto& tensors) {
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone();
  });
  EXPECT_NO_THROW(load_model(directory_.path()));
  change_weights([](auto& tensors) { tensors["lm_head.weight"][3][2] += 1; });
  expect_refused(ErrorCode::kCorrupt, {"lm_head.weight", "ties"});
}

TEST_F(ModelTest, AnUntiedHeadMustBeThere) {
  save_model(directory_.path(), random_decoder(false), torch::kFloat32);
  change_weights([](auto& tensors) { tensors.erase("lm_head.weight"); });
  expect_refused(ErrorCode::kCorrupt, {"lack 1 tensor", "lm_head.weight"});
}

TEST_F(ModelTest, NamesMissingSurplusAndMisshapenTensors) {
  save_model(directory_.path(), random_decoder(), torch::kFloat32);
  const std::string good = read_file(weights());
  change_weights([](auto& tensors) { tensors.erase("model.layers.1.mlp.up_proj.weight"); });
  expect_refused(ErrorCode::kCorrupt, {"model.layers.1.mlp.up_proj.weight"});
  write_file(weights(), good);
  change_weights([](auto& tensors) { tensors["model.layers.2.mlp.x"] = torch::ones({1}); });
  expect_refused(ErrorCode::kCorrupt, {"model.layers.2.mlp.x", "no place"});
  write_file(weights(), good);
  change_weights([](auto& tensors) { tensors["model.norm.weight"] = torch::ones({25}); });
  expect_refused(ErrorCode::kCorrupt, {"model.norm.weight", "[25]", "[24]", "model.safetensors"});
  write_file(weights(), good);
  change_weights(
      [](auto& tensors) { tensors["model.norm.weight"] = torch::ones({24}, torch::kInt8); });
  expect_refused(ErrorCode::kUnsupported, {"model.norm.weight", "quantised"});
}

// Sizes that no memory holds are refused by comparison with the file, before any allocation.
TEST_F(ModelTest, AConfigThatLiesAllocatesNothing) {
  save_model(directory_.path(), random_decoder(), torch::kFloat32);
  Json config = read_json(directory_ / "config.json");
  config["vocab_size"] = 1 << 30;
  config["hidden_size"] = 1 << 24;
  write_file(directory_ / "config.json", config.dump());
  expect_refused(ErrorCode::kCorrupt, {"model.embed_tokens.weight", "1073741824"});
}

TEST_F(ModelTest, RefusesContradictingShards) {
  save_model(directory_.path(), random_decoder(), torch::kFloat32, {}, 12'000);
  const auto index_path = directory_ / "model.safetensors.index.json";
  const Json good = read_json(index_path);
  const std::string norm = "model.norm.weight";
  const std::string last = good["weight_map"][norm];
  const auto refuse = [&](const Json& index, ErrorCode code, std::vector<std::string> parts) {
    write_file(index_path, index.dump());
    expect_refused(code, parts);
  };
  for (const char* bad : {"../x.safetensors", "/etc/passwd", "..", "", "a/b.safetensors"}) {
    Json index = good;
    index["weight_map"][norm] = bad;
    refuse(index, ErrorCode::kCorrupt, {"index.json", norm, "same directory"});
  }
  Json index = good;
  index["weight_map"][norm] = "none.safetensors";
  refuse(index, ErrorCode::kNotFound, {"none.safetensors"});
  index = good;
  index["weight_map"]["model.x"] = last;
  refuse(index, ErrorCode::kCorrupt, {"'model.x'", last});
  index = good;
  index.erase("weight_map");
  refuse(index, ErrorCode::kCorrupt, {"weight_map"});
  write_file(index_path, good.dump());
  const auto first =
      directory_ / good["weight_map"]["model.embed_tokens.weight"].get<std::string>();
  NamedTensors tensors{{norm, torch::zeros({24})}};
  for (const SafetensorsFile file(first); const std::string& name : file.names()) {
    tensors.emplace_back(name, file.tensor(name));
  }
  save_safetensors(first, tensors);
  expect_refused(ErrorCode::kCorrupt, {norm, "another shard"});
}

TEST_F(ModelTest, RefusesATokenizerWithMoreIdsThanTheModel) {
  save_model(directory_.path(), random_decoder(), torch::kFloat32);
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) {
    texts.push_back("line " + std::to_string(i * 7919) + " of quite a small text");
  }
  TokenizerTrainingOptions options;
  options.vocab_size = 300;
  train_tokenizer(texts, options, directory_.path());
  expect_refused(ErrorCode::kCorrupt, {"tokenizer", "300", "61"});
}

// A flipped bit of the header is named, with the file, or it was in what only informs; it never
// ends in another model.
TEST_F(ModelTest, AFlippedBitOfTheHeaderIsFoundOrHarmless) {
  Decoder decoder = random_decoder();
  save_model(directory_.path(), decoder, torch::kFloat32);
  const torch::Tensor expected = logits_of(decoder);
  const std::string whole = read_file(weights());
  const std::size_t header = 8 + static_cast<std::size_t>(static_cast<unsigned char>(whole[0])) +
                             256 * static_cast<std::size_t>(static_cast<unsigned char>(whole[1]));
  std::size_t found = 0;
  for (std::size_t bit = 0; bit < header * 8; bit += 43) { // an odd step: every place in a byte
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    write_file(weights(), damaged);
    try {
      Model model = load_model(directory_.path());
      EXPECT_TRUE(torch::equal(logits_of(model.decoder), expected)) << "bit " << bit;
    } catch (const Error& error) {
      ++found;
      EXPECT_TRUE(error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kUnsupported)
          << "bit " << bit << ": " << error.what();
      EXPECT_NE(std::string(error.what()).find(directory_.path().string()), std::string::npos)
          << "bit " << bit << ": " << error.what();
    }
  }
  EXPECT_GT(found, header / 8);
}

TEST_F(ModelTest, NamesWhatIsMissing) {
  expect_error(ErrorCode::kNotFound, {"nowhere"}, [&] { load_model(directory_ / "nowhere"); });
  expect_refused(ErrorCode::kNotFound, {"config.json"});
  save_model(directory_.path(), random_decoder(), torch::kFloat32);
  const std::string whole = read_file(weights());
  write_file(weights(), whole.substr(0, whole.size() / 2));
  expect_refused(ErrorCode::kCorrupt, {"model.safetensors", "truncated"});
  std::filesystem::remove(weights());
  expect_refused(ErrorCode::kNotFound, {"model.safetensors", directory_.path().filename()});
  write_file(directory_ / "pytorch_model.bin", "x");
  expect_refused(ErrorCode::kUnsupported, {"pytorch_model.bin", "safetensors"});
  std::filesystem::create_directory(weights());
  expect_refused(ErrorCode::kCorrupt, {"model.safetensors", "directory"});
}

} // namespace
} // namespace errata
