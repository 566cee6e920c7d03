#include "peft/gguf_adapter.h"

#include "core/base/files.h"
#include "peft/gguf_file.h"
#include "peft/gguf_names.h"
#include "peft/lora_pairs.h"
#include "tests/peft/tiny_decoder.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::log_probabilities;
using testing_support::TemporaryDirectory;
using testing_support::tiny_decoder;
using testing_support::tiny_llama;

namespace fs = std::filesystem;

class GgufAdapterTest : public testing_support::SeedingTest {
 protected:
  // The values of an F32 tensor of a file, as the bytes lie.
  static torch::Tensor read(const GgufFile& file, const std::string& name) {
    for (const GgufTensor& tensor : file.tensors()) {
      if (tensor.name == name) {
        EXPECT_EQ(tensor.type, GgufType::kF32);
        const auto rows = static_cast<std::int64_t>(tensor.shape.at(0));
        const auto columns = static_cast<std::int64_t>(tensor.shape.at(1));
        return torch::from_blob(
                   const_cast<std::byte*>(tensor.bytes.data()), {rows, columns}, torch::kFloat32)
            .clone();
      }
    }
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }

  // Factors from a seed in every pair of an adapter.
  static void fill(const Adapter& adapter) {
    const torch::NoGradGuard no_grad;
    for (auto [name, tensor] : adapter.named_parameters()) {
      tensor.normal_(0, 0.2);
    }
  }

  void write(const Decoder& model, const std::vector<LoraPair>& pairs) const {
    write_gguf_adapter(
        path(), pairs, model->config(), torch::kFloat32, name_, {{"errata.edits.sha256", "abc"}});
  }

  // A file of the given keys and one pair on layer 0's down projection of `tiny_llama`.
  void write_by_hand(
      const std::vector<std::pair<std::string, GgufValue>>& more,
      const std::string& name = "blk.0.ffn_down.weight",
      const std::string& second = ".lora_b",
      std::uint64_t rank_of_b = 2) {
    std::vector<std::pair<std::string, GgufValue>> keys = {
        {"general.architecture", std::string("llama")},
        {"general.type", std::string("adapter")},
        {"adapter.type", std::string("lora")}};
    for (const auto& [key, value] : more) {
      const auto same = std::find_if(
          keys.begin(), keys.end(), [&](const auto& entry) { return entry.first == key; });
      if (same == keys.end()) {
        keys.emplace_back(key, value);
      } else {
        same->second = value;
      }
    }
    a_ = torch::randn({2, 40});
    b_ = torch::randn({24, static_cast<std::int64_t>(rank_of_b)});
    write_gguf(
        path(),
        keys,
        {{name + ".lora_a", GgufType::kF32, {2, 40}, bytes_of(a_)},
         {name + second, GgufType::kF32, {24, rank_of_b}, bytes_of(b_)}});
  }

  static std::span<const std::byte> bytes_of(const torch::Tensor& tensor) {
    return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
  }

  fs::path path() const { return temporary_ / "adapter.gguf"; }

  TemporaryDirectory temporary_;
  GgufFileName name_{"tiny", "tiny", "1K", "test", "v1.0", "F32"};
  torch::Tensor a_;
  torch::Tensor b_;
};

TEST_F(GgufAdapterTest, ReadsBackTheSameModel) {
  for (const bool llama : {false, true}) {
    Decoder model = llama ? tiny_llama(12) : tiny_decoder(12);
    const torch::Tensor base = log_probabilities(model);
    AdapterConfig config;
    config.r = 3;
    config.target_regex = "all-linear";
    config.use_rslora = true;
    config.rank_pattern = {{"11.mlp.up_proj", 5}, {"k_proj", 1}};
    config.alpha_pattern = {{"down_proj", 2.5}};
    auto adapter = attach_adapter(model, config, 1);
    fill(*adapter);
    const torch::Tensor adapted = log_probabilities(model);
    EXPECT_GT((adapted - base).abs().max().item<double>(), 0.05);
    write(model, fold_for_gguf(lora_pairs(*adapter, "GGUF")));
    adapter.reset();
    EXPECT_TRUE(torch::equal(log_probabilities(model), base));
    adapter = load_adapter(model, path());
    EXPECT_TRUE(torch::allclose(log_probabilities(model), adapted, 1e-4, 1e-4));
    EXPECT_EQ(adapter->modules().size(), 12 * 7);
    EXPECT_EQ(gguf_metadata(path()).at("errata.edits.sha256"), "abc");
  }
}

// One head of eight rows: rows 0 to 3 turn with rows 4 to 7, and llama.cpp wants each beside its
// partner.
TEST_F(GgufAdapterTest, QueryAndKeyRowsOfLlamaStandInPairs) {
  Decoder model = tiny_llama(1);
  const auto rows = [](std::int64_t count) {
    return torch::arange(count, torch::kFloat32).unsqueeze(1) + 1;
  };
  const torch::Tensor a = torch::ones({1, 24});
  write(
      model,
      {{"model.layers.0.self_attn.q_proj", a, rows(32), 1.0},
       {"model.layers.0.self_attn.k_proj", a, rows(16), 1.0},
       {"model.layers.0.self_attn.v_proj", a, rows(16), 1.0}});
  const GgufFile file(path());
  const auto column = [&](const std::string& name) {
    const torch::Tensor values = read(file, name).flatten();
    return std::vector<float>(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
  };
  EXPECT_EQ(
      column("blk.0.attn_k.weight.lora_b"),
      (std::vector<float>{1, 5, 2, 6, 3, 7, 4, 8, 9, 13, 10, 14, 11, 15, 12, 16}));
  const auto q = column("blk.0.attn_q.weight.lora_b");
  EXPECT_EQ(
      std::vector<float>(q.begin() + 24, q.end()),
      (std::vector<float>{25, 29, 26, 30, 27, 31, 28, 32}));
  EXPECT_EQ(
      column("blk.0.attn_v.weight.lora_b"),
      (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}));
  EXPECT_TRUE(torch::equal(read(file, "blk.0.attn_q.weight.lora_a"), a));

  Decoder gemma = tiny_decoder(1);
  write(gemma, {{"model.layers.0.self_attn.q_proj", a, rows(32), 1.0}});
  EXPECT_TRUE(torch::equal(read(GgufFile(path()), "blk.0.attn_q.weight.lora_b"), rows(32)));
}

TEST_F(GgufAdapterTest, OneAlphaHoldsEveryScale) {
  const auto pair = [](const std::string& module, std::int64_t rank, double scale) {
    return LoraPair{module, torch::randn({rank, 24}), torch::randn({16, rank}), scale};
  };
  // rsLoRA with alpha 6 and rank 9: 6 / 3, so alpha 18 for a reader that divides by the rank.
  const std::vector<LoraPair> rslora = {pair("a", 9, 2.0), pair("b", 9, 2.0)};
  auto folded = fold_for_gguf(rslora);
  EXPECT_DOUBLE_EQ(folded[0].scale * 9, 18);
  EXPECT_TRUE(torch::equal(folded[0].b, rslora[0].b)) << "nothing to fold, so the bits stay";
  const std::vector<LoraPair> mixed = {pair("a", 4, 1.5), pair("b", 7, 1.5), pair("c", 12, 0.5)};
  folded = fold_for_gguf(mixed);
  const double alpha = folded[0].scale * 4;
  EXPECT_DOUBLE_EQ(alpha, 6) << "the alpha of most modules";
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    EXPECT_DOUBLE_EQ(folded[i].scale * static_cast<double>(folded[i].rank()), alpha);
    EXPECT_TRUE(torch::allclose(
        folded[i].b.mm(folded[i].a) * folded[i].scale, mixed[i].b.mm(mixed[i].a) * mixed[i].scale));
  }
  // To llama.cpp an alpha of 0 means a scale of 1.
  folded = fold_for_gguf({pair("a", 4, 0.0), pair("b", 4, 0.0)});
  EXPECT_NE(folded[0].scale, 0);
  EXPECT_EQ(folded[0].b.abs().max().item<float>(), 0);
}

TEST_F(GgufAdapterTest, AlphaIsReadAsLlamaCppReadsIt) {
  Decoder model = tiny_llama(1);
  const auto delta = [&] {
    const auto adapter = load_adapter(model, path());
    return adapter->delta("model.layers.0.mlp.down_proj");
  };
  write_by_hand({});
  EXPECT_TRUE(torch::allclose(delta(), b_.mm(a_))) << "no alpha: no scaling";
  write_by_hand({{"adapter.lora.alpha", 0.0F}});
  EXPECT_TRUE(torch::allclose(delta(), b_.mm(a_)));
  write_by_hand({{"adapter.lora.alpha", 5.0F}, {"adapter.lora.task_name", std::string("x")}});
  EXPECT_TRUE(torch::allclose(delta(), b_.mm(a_) * 2.5));
}

TEST_F(GgufAdapterTest, OtherEncodingsAreRead) {
  Decoder model = tiny_decoder(1);
  const torch::Tensor a = torch::randn({2, 24});
  const torch::Tensor b = torch::randn({40, 2});
  const std::vector<LoraPair> pairs = {{"model.layers.0.mlp.up_proj", a, b, 0.5}};
  for (const torch::Dtype dtype : {torch::kFloat16, torch::kBFloat16}) {
    write_gguf_adapter(path(), pairs, model->config(), dtype, name_, {});
    const auto adapter = load_adapter(model, path());
    const auto parameters = adapter->named_parameters();
    EXPECT_TRUE(torch::equal(parameters[0].second, a.to(dtype).to(torch::kFloat32)));
    EXPECT_TRUE(torch::equal(parameters[1].second, b.to(dtype).to(torch::kFloat32)));
  }
  expect_error(ErrorCode::kInvalidArgument, {"float16"}, [&] {
    write_gguf_adapter(path(), pairs, model->config(), torch::kFloat64, name_, {});
  });
}

// Blocks of 32 as the format's specification has them: a float16 scale, then signed bytes.
TEST_F(GgufAdapterTest, Q8BlocksAreRead) {
  Decoder model = tiny_llama(1);
  std::string blocks;
  for (const std::uint16_t scale : {0x3800, 0xc000}) { // 0.5 and -2
    blocks.append(reinterpret_cast<const char*>(&scale), sizeof scale);
    for (int i = -16; i < 16; ++i) {
      blocks += static_cast<char>(8 * i);
    }
  }
  const torch::Tensor b = torch::randn({24, 2});
  write_gguf(
      path(),
      {{"general.architecture", std::string("llama")},
       {"general.type", std::string("adapter")},
       {"adapter.type", std::string("lora")}},
      {{"blk.0.attn_output.weight.lora_a",
        GgufType::kQ8_0,
        {2, 32},
        std::as_bytes(std::span(blocks.data(), blocks.size()))},
       {"blk.0.attn_output.weight.lora_b", GgufType::kF32, {24, 2}, bytes_of(b)}});
  const torch::Tensor row = torch::arange(-16, 16, torch::kFloat32) * 8;
  const torch::Tensor a = torch::stack({row * 0.5, row * -2});
  EXPECT_TRUE(torch::allclose(
      load_adapter(model, path())->delta("model.layers.0.self_attn.o_proj"), b.mm(a)));
}

TEST_F(GgufAdapterTest, RefusesWhatItWouldGetWrong) {
  Decoder model = tiny_llama(1);
  const auto expect_refusal = [&](ErrorCode code, const std::vector<std::string>& parts) {
    std::vector<std::string> all = parts;
    all.emplace_back("adapter.gguf");
    expect_error(code, all, [&] { load_adapter(model, path()); });
  };
  const torch::Tensor base = log_probabilities(model);
  write_by_hand({{"general.type", std::string("model")}});
  expect_refusal(ErrorCode::kUnsupported, {"'model'"});
  write_by_hand({{"adapter.type", std::string("control")}});
  expect_refusal(ErrorCode::kUnsupported, {"'control'"});
  write_by_hand({{"general.architecture", std::string("gemma3")}});
  expect_refusal(ErrorCode::kCorrupt, {"'gemma3'", "'llama'"});
  write_by_hand({{"adapter.lora.alpha", std::string("8")}});
  expect_refusal(ErrorCode::kCorrupt, {"adapter.lora.alpha"});
  write_by_hand({{"adapter.alora.invocation_tokens", GgufArray{4, 1, std::string(4, '\1')}}});
  expect_refusal(ErrorCode::kUnsupported, {"invocation_tokens", "activated"});
  write_by_hand({{"adapter.lora.magnitude", 1.0F}});
  expect_refusal(ErrorCode::kUnsupported, {"adapter.lora.magnitude"});
  write_by_hand({}, "blk.7.ffn_down.weight");
  expect_refusal(ErrorCode::kCorrupt, {"layers.7.mlp.down_proj", "no module"});
  write_by_hand({}, "blk.0.ffn_gate_exps.weight");
  expect_refusal(ErrorCode::kCorrupt, {"ffn_gate_exps"});
  write_by_hand({}, "token_embd.weight");
  expect_refusal(ErrorCode::kCorrupt, {"embed_tokens", "[r, 50]"});
  write_by_hand({}, "blk.0.ffn_up.weight");
  expect_refusal(ErrorCode::kCorrupt, {"up_proj", "[40, r]"});
  write_by_hand({}, "blk.0.ffn_down.weight", ".lora_b", 3);
  expect_refusal(ErrorCode::kCorrupt, {"down_proj", "[24, 3]"});
  write_by_hand({}, "blk.0.ffn_down.weight", ".lora_c");
  expect_refusal(ErrorCode::kUnsupported, {".lora_c"});
  EXPECT_TRUE(torch::equal(log_probabilities(model), base)) << "a refused adapter leaves nothing";
  write_file(path(), "no gguf");
  expect_refusal(ErrorCode::kCorrupt, {"no GGUF"});
}

TEST_F(GgufAdapterTest, FamiliesWithoutAnArchitectureAreRefused) {
  Decoder model = tiny_llama(1);
  DecoderConfig config = model->config();
  for (const std::string type : {"recurrent_gemma", "gptj"}) {
    config.model_type = type;
    expect_error(ErrorCode::kUnsupported, {type, "--to merged"}, [&] { GgufNames{config}; });
  }
  config.model_type = "mistral";
  EXPECT_EQ(GgufNames(config).architecture(), "llama");
  config.model_type = "gpt2";
  config.names = kGpt2Names;
  const GgufNames gpt2(config);
  EXPECT_EQ(gpt2.weight("transformer.h.3.attn.c_attn"), "blk.3.attn_qkv.weight");
  EXPECT_EQ(gpt2.weight("transformer.h.3.attn.c_proj"), "blk.3.attn_output.weight");
  EXPECT_EQ(gpt2.module("blk.11.ffn_down.weight"), "transformer.h.11.mlp.c_proj");
  EXPECT_EQ(gpt2.interleaved_heads("transformer.h.3.attn.c_attn"), 0);
  EXPECT_EQ(gpt2.module("blk.1x.ffn_down.weight"), std::nullopt);
  expect_error(ErrorCode::kUnsupported, {"linear_y", "--to merged"}, [&] {
    gpt2.weight("transformer.h.0.temporal_block.linear_y");
  });
}

TEST_F(GgufAdapterTest, OnlyPairsFitIntoAFile) {
  Decoder model = tiny_decoder(1);
  const auto delta = attach_delta(model, {{"model.layers.0.mlp.up_proj", torch::randn({40, 24})}});
  expect_error(ErrorCode::kUnsupported, {"DELTA", "GGUF", "--to merged"}, [&] {
    lora_pairs(*delta, "GGUF");
  });
}

TEST_F(GgufAdapterTest, ADirectoryWithOneFileIsThatFile) {
  Decoder model = tiny_llama(1);
  write_by_hand({});
  EXPECT_EQ(load_adapter(model, temporary_.path())->modules().size(), 1);
  fs::copy_file(path(), temporary_ / "another.gguf");
  expect_error(ErrorCode::kInvalidArgument, {"several", "name one"}, [&] {
    load_adapter(model, temporary_.path());
  });
}

} // namespace
} // namespace errata::peft
