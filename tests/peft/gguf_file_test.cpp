#include "peft/gguf_file.h"

#include "core/base/files.h"
#include "peft/gguf_file_name.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <rapidcheck/gtest.h>
#include <regex>

namespace errata::peft {
namespace {

using testing_support::expect_error;
using testing_support::TemporaryDirectory;

using Keys = std::vector<std::pair<std::string, GgufValue>>;

bool operator==(const GgufArray& a, const GgufArray& b) {
  return a.type == b.type && a.count == b.count && a.elements == b.elements;
}

bool same_value(const GgufValue& a, const GgufValue& b) {
  return a.index() == b.index() &&
         std::visit([&](const auto& x) { return x == std::get<std::decay_t<decltype(x)>>(b); }, a);
}

template <typename T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string raw_text(const std::string& text) {
  return raw<std::uint64_t>(text.size()) + text;
}

// A file's start: magic, version, counts.
std::string head(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
  return "GGUF" + raw(version) + raw(tensors) + raw(keys);
}

std::string tensor_entry(
    const std::string& name,
    const std::vector<std::uint64_t>& ne,
    std::uint32_t type,
    std::uint64_t offset) {
  std::string entry = raw_text(name) + raw<std::uint32_t>(static_cast<std::uint32_t>(ne.size()));
  for (const std::uint64_t size : ne) {
    entry += raw(size);
  }
  return entry + raw(type) + raw(offset);
}

class GgufFileTest : public testing::Test {
 protected:
  std::filesystem::path path() const { return directory_ / "x.gguf"; }

  void expect_failure(
      ErrorCode code, const std::string& content, const std::vector<std::string>& parts) {
    write_file(path(), content);
    std::vector<std::string> all = parts;
    all.emplace_back("x.gguf");
    expect_error(code, all, [&] { GgufFile{path()}; });
  }
  void expect_corrupt(const std::string& content, const std::vector<std::string>& parts) {
    expect_failure(ErrorCode::kCorrupt, content, parts);
  }

  // Written out by hand from the specification, not by the writer.
  std::string small_file() const {
    std::string file = head(2, 3) + raw_text("general.type") + raw<std::uint32_t>(8) +
                       raw_text("adapter") + raw_text("alpha") + raw<std::uint32_t>(6) +
                       raw<float>(2.5F) + raw_text("list") + raw<std::uint32_t>(9) +
                       raw<std::uint32_t>(8) + raw<std::uint64_t>(2) + raw_text("a") +
                       raw_text("bc");
    file += tensor_entry("w", {3, 2}, 0, 0) + tensor_entry("v", {2}, 1, 32);
    file.resize((file.size() + 31) / 32 * 32, '\0');
    for (int i = 0; i < 6; ++i) {
      file += raw<float>(static_cast<float>(i));
    }
    file += std::string(8, '\0') + raw<std::uint16_t>(0x3c00) + raw<std::uint16_t>(0xbc00);
    return file;
  }

  TemporaryDirectory directory_;
};

TEST_F(GgufFileTest, ReadsAFileWrittenByHand) {
  write_file(path(), small_file());
  const GgufFile file(path());
  EXPECT_EQ(file.text("general.type"), "adapter");
  EXPECT_EQ(std::get<float>(file.values().at("alpha")), 2.5F);
  const auto& list = std::get<GgufArray>(file.values().at("list"));
  EXPECT_EQ(list.count, 2);
  EXPECT_EQ(list.elements, raw_text("a") + raw_text("bc"));
  ASSERT_EQ(file.tensors().size(), 2);
  EXPECT_EQ(file.tensors()[0].name, "w");
  EXPECT_EQ(file.tensors()[0].shape, (std::vector<std::uint64_t>{2, 3}));
  float last = 0;
  std::memcpy(&last, file.tensors()[0].bytes.data() + 5 * sizeof last, sizeof last);
  EXPECT_EQ(last, 5.0F);
  EXPECT_EQ(file.tensors()[1].type, GgufType::kF16);
  EXPECT_EQ(file.tensors()[1].bytes.size(), 4);
  expect_error(ErrorCode::kCorrupt, {"x.gguf", "'none'"}, [&] { file.text("none"); });
}

TEST_F(GgufFileTest, EveryTruncationIsRefused) {
  const std::string whole = small_file();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_file(path(), whole.substr(0, size));
    expect_error(ErrorCode::kCorrupt, {"x.gguf"}, [&] { GgufFile{path()}; });
  }
}

// Whatever one byte is changed to, reading ends in a file or in one clear error.
RC_GTEST_FIXTURE_PROP(GgufFileTest, DamageNeverCrashes, ()) {
  std::string content = small_file();
  const auto place = *rc::gen::inRange<std::size_t>(0, content.size());
  content[place] = *rc::gen::arbitrary<char>();
  write_file(path(), content);
  try {
    const GgufFile file(path());
    std::size_t bytes = 0;
    for (const GgufTensor& tensor : file.tensors()) {
      // Touches every byte: one outside the mapping would end the program.
      bytes += static_cast<std::size_t>(
          std::count_if(tensor.bytes.begin(), tensor.bytes.end(), [](std::byte byte) {
            return byte != std::byte{0};
          }));
    }
    RC_ASSERT(bytes <= content.size());
  } catch (const Error& error) {
    RC_ASSERT(std::string(error.what()).find("x.gguf") != std::string::npos);
    RC_ASSERT(error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kUnsupported);
  }
}

GgufValue arbitrary_value() {
  switch (*rc::gen::inRange(0, 8)) {
    case 0:
      return *rc::gen::arbitrary<std::uint8_t>();
    case 1:
      return *rc::gen::arbitrary<std::int16_t>();
    case 2:
      return *rc::gen::arbitrary<std::uint32_t>();
    case 3:
      return static_cast<float>(*rc::gen::arbitrary<std::int16_t>()) / 8;
    case 4:
      return *rc::gen::arbitrary<bool>();
    case 5:
      return *rc::gen::arbitrary<std::uint64_t>();
    case 6: {
      const auto elements = *rc::gen::arbitrary<std::string>();
      return GgufArray{0, elements.size(), elements};
    }
    default:
      return *rc::gen::arbitrary<std::string>();
  }
}

RC_GTEST_FIXTURE_PROP(GgufFileTest, ReadsBackWhatWasWritten, ()) {
  Keys keys;
  for (const auto& name : *rc::gen::unique<std::vector<std::string>>(rc::gen::suchThat(
           rc::gen::arbitrary<std::string>(),
           [](const std::string& key) { return key != "general.alignment"; }))) {
    keys.emplace_back(name, arbitrary_value());
  }
  std::vector<std::string> contents;
  std::vector<GgufTensor> tensors;
  const auto count = *rc::gen::inRange(0, 6);
  for (int i = 0; i < count; ++i) {
    const auto rows = *rc::gen::inRange<std::uint64_t>(0, 5);
    const auto blocks = *rc::gen::inRange<std::uint64_t>(1, 3);
    const GgufType type =
        *rc::gen::element(GgufType::kF32, GgufType::kF16, GgufType::kBF16, GgufType::kQ8_0);
    const std::uint64_t columns = type == GgufType::kQ8_0 ? 32 * blocks : 7 * blocks;
    contents.push_back(*rc::gen::container<std::string>(
        gguf_byte_count(type, rows * columns), rc::gen::arbitrary<char>()));
    tensors.push_back({"t" + std::to_string(i), type, {rows, columns}, {}});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].bytes = std::as_bytes(std::span(contents[i].data(), contents[i].size()));
  }
  write_gguf(path(), keys, tensors);
  const GgufFile file(path());
  RC_ASSERT(file.values().size() == keys.size());
  for (const auto& [name, value] : keys) {
    RC_ASSERT(same_value(file.values().at(name), value));
  }
  RC_ASSERT(file.tensors().size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const GgufTensor& read = file.tensors()[i];
    RC_ASSERT(read.name == tensors[i].name);
    RC_ASSERT(read.type == tensors[i].type);
    RC_ASSERT(read.shape == tensors[i].shape);
    RC_ASSERT(
        std::string(reinterpret_cast<const char*>(read.bytes.data()), read.bytes.size()) ==
        contents[i]);
  }
}

TEST_F(GgufFileTest, RefusesWhatDoesNotAddUp) {
  expect_corrupt("PK\3\4 and more", {"'GGUF'", "offset 0"});
  expect_failure(ErrorCode::kUnsupported, head(0, 0, 1), {"version 1"});
  expect_failure(ErrorCode::kUnsupported, head(0, 0, 0x03000000), {"big-endian"});
  expect_corrupt(head(1ULL << 60, 0), {"number of tensors", "offset 8"});
  expect_corrupt(head(0, 1ULL << 60), {"number of keys", "offset 16"});
  expect_corrupt(head(0, 1) + raw<std::uint64_t>(1ULL << 40) + "key and value", {"offset 32"});
  const std::string key = raw_text("k");
  expect_corrupt(head(0, 1) + key + raw<std::uint32_t>(13) + "x", {"'k'", "value type 13"});
  expect_corrupt(head(0, 1) + key + raw<std::uint32_t>(7) + "\2", {"'k'", "bool"});
  expect_corrupt(
      head(0, 1) + key + raw<std::uint32_t>(9) + raw<std::uint32_t>(10) +
          raw<std::uint64_t>(1ULL << 61),
      {"array length"});
  expect_failure(
      ErrorCode::kUnsupported,
      head(0, 1) + key + raw<std::uint32_t>(9) + raw<std::uint32_t>(9) + raw<std::uint64_t>(0),
      {"'k'", "array of arrays"});
  const std::string entry = key + raw<std::uint32_t>(0) + "\1";
  expect_corrupt(head(0, 2) + entry + entry, {"key 'k'", "twice"});
  const std::string zero = raw_text("general.alignment") + raw<std::uint32_t>(4);
  expect_corrupt(head(0, 1) + zero + raw<std::uint32_t>(24), {"alignment", "power of two"});
}

TEST_F(GgufFileTest, RefusesTensorsThatLie) {
  const auto with_data = [](std::string content, std::size_t bytes) {
    content.resize((content.size() + 31) / 32 * 32, '\0');
    return content + std::string(bytes, '\1');
  };
  expect_corrupt(with_data(head(1, 0) + tensor_entry("w", {3, 2}, 0, 0), 23), {"'w'", "outside"});
  expect_corrupt(with_data(head(1, 0) + tensor_entry("w", {2}, 0, 4), 64), {"'w'", "aligned"});
  expect_corrupt(
      with_data(head(1, 0) + tensor_entry("w", {2}, 0, 1ULL << 63), 64), {"'w'", "outside"});
  // 2^32 * 2^32 values wrap to none.
  expect_corrupt(
      with_data(head(1, 0) + tensor_entry("w", {1ULL << 32, 1ULL << 32}, 0, 0), 64),
      {"'w'", "too large"});
  expect_corrupt(
      with_data(head(1, 0) + tensor_entry("w", {0, 1ULL << 63}, 0, 0), 64), {"'w'", "too large"});
  expect_corrupt(
      with_data(head(1, 0) + tensor_entry("w", {1, 1, 1, 1, 1}, 0, 0), 64), {"'w'", "dimensions"});
  expect_corrupt(
      with_data(head(1, 0) + tensor_entry("w", {40}, 8, 0), 64), {"'w'", "multiple of 32"});
  expect_failure(
      ErrorCode::kUnsupported,
      with_data(head(1, 0) + tensor_entry("w", {256}, 12, 0), 512),
      {"'w'", "type 12", "Q8_0"});
  expect_corrupt(
      with_data(head(2, 0) + tensor_entry("w", {2}, 0, 0) + tensor_entry("w", {2}, 0, 32), 64),
      {"'w'", "twice"});
  expect_corrupt(
      with_data(head(2, 0) + tensor_entry("v", {16}, 0, 0) + tensor_entry("w", {2}, 0, 32), 64),
      {"overlap", "offset 32"});
}

TEST_F(GgufFileTest, ANameThatLlamaCppCannotHoldIsNotWritten) {
  const float value = 1;
  const auto bytes = std::as_bytes(std::span(&value, 1));
  expect_error(ErrorCode::kUnsupported, {"64 bytes", "63"}, [&] {
    write_gguf(path(), {}, {{std::string(64, 'n'), GgufType::kF32, {1}, bytes}});
  });
  EXPECT_FALSE(std::filesystem::exists(path()));
}

// The expression of the format's own documentation for file names.
TEST(GgufFileNameTest, FollowsTheConvention) {
  const std::regex convention(
      R"(^[A-Za-z0-9\s]*(?:(?:-(?:(?:[A-Za-z\s][A-Za-z0-9\s]*)|(?:[0-9\s]*)))*)-(?:(?:\d+x)?(?:\d+\.)?\d+[A-Za-z](?:-[A-Za-z]+(\d+\.)?\d+[A-Za-z]+)?)(?:-[A-Za-z0-9\s-]+)?-v\d+(?:\.\d+)*-(?!LoRA)[\w_]+-LoRA\.gguf$)");
  const auto name = [&](const std::string& model, std::int64_t parameters, const char* adapter) {
    const std::string text = gguf_file_name(model, parameters, adapter, "F32").text();
    EXPECT_TRUE(std::regex_match(text, convention)) << text;
    return text;
  };
  EXPECT_EQ(name("lab", 5'243'392, "quickstart"), "lab-5.2M-quickstart-v1.0-F32-LoRA.gguf");
  EXPECT_EQ(name("gemma-3-1b-it", 1, "news"), "gemma-3-1B-it-news-v1.0-F32-LoRA.gguf");
  EXPECT_EQ(name("Mixtral-8x7B", 1, "a"), "Mixtral-8x7B-a-v1.0-F32-LoRA.gguf");
  EXPECT_EQ(name("my model_2", 123'456'789'012, "x"), "my-model-2-123B-x-v1.0-F32-LoRA.gguf");
  EXPECT_EQ(name("", 700, "in/out"), "model-0.7K-in-out-v1.0-F32-LoRA.gguf");
  EXPECT_EQ(name("7b", 7'000'000'000, "x"), "7b-7.0B-x-v1.0-F32-LoRA.gguf");
}

} // namespace
} // namespace errata::peft
