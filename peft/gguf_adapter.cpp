#include "peft/gguf_adapter.h"

#include "core/base/error.h"
#include "peft/gguf_file.h"
#include "peft/gguf_names.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

constexpr const char* kArchitectureKey = "general.architecture";
constexpr const char* kFileKindKey = "general.type";
constexpr const char* kAdapterKindKey = "adapter.type";
constexpr const char* kAlphaKey = "adapter.lora.alpha";
constexpr const char* kActivatedKey = "adapter.alora.invocation_tokens";
constexpr std::string_view kOwnPrefix = "errata.";
constexpr std::string_view kHalfA = ".lora_a";
constexpr std::string_view kHalfB = ".lora_b";

struct GgufEncoding {
  torch::Dtype dtype;
  GgufType type;
  const char* name;
  std::uint32_t file_type; ///< llama.cpp's number for a file of mostly this type
};

constexpr std::array<GgufEncoding, 3> kEncodings = {{
    {torch::Dtype::Float, GgufType::kF32, "F32", 0},
    {torch::Dtype::Half, GgufType::kF16, "F16", 1},
    {torch::Dtype::BFloat16, GgufType::kBF16, "BF16", 32},
}};

const GgufEncoding& encoding_of(torch::Dtype dtype) {
  for (const GgufEncoding& encoding : kEncodings) {
    if (encoding.dtype == dtype) {
      return encoding;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument,
      "a GGUF adapter is written in float32, float16 or bfloat16, not in ",
      torch::toString(dtype));
}

// HF keeps the two halves of a head's rotated pairs apart, llama.cpp side by side: new row
// 2 j + p of a head is old row p h / 2 + j.
torch::Tensor interleave_rows(const torch::Tensor& b, std::int64_t heads) {
  const std::int64_t half = b.size(0) / heads / 2;
  return b.reshape({heads, 2, half, b.size(1)}).transpose(1, 2).reshape(b.sizes()).contiguous();
}

torch::Tensor separate_rows(const torch::Tensor& b, std::int64_t heads) {
  const std::int64_t half = b.size(0) / heads / 2;
  return b.reshape({heads, half, 2, b.size(1)}).transpose(1, 2).reshape(b.sizes()).contiguous();
}

using KeyValues = std::vector<std::pair<std::string, GgufValue>>;

KeyValues gguf_keys(
    const GgufNames& names,
    const GgufFileName& file_name,
    double alpha,
    const GgufEncoding& encoding,
    const std::map<std::string, std::string>& metadata) {
  const std::string title = file_name.text();
  KeyValues keys = {
      {kArchitectureKey, names.architecture()},
      {kFileKindKey, std::string("adapter")},
      {kAdapterKindKey, std::string("lora")},
      {kAlphaKey, static_cast<float>(alpha)},
      {"general.name", title.substr(0, title.rfind('.'))},
      {"general.basename", file_name.base},
      {"general.size_label", file_name.size},
      {"general.finetune", file_name.fine_tune},
      {"general.version", file_name.version},
      {"general.file_type", encoding.file_type}};
  if (!file_name.model.empty()) {
    keys.emplace_back("general.base_model.count", std::uint32_t{1});
    keys.emplace_back("general.base_model.0.name", file_name.model);
  }
  for (const auto& [key, value] : metadata) {
    keys.emplace_back(key, value);
  }
  return keys;
}

GgufTensor gguf_tensor(const std::string& name, const torch::Tensor& tensor, GgufType type) {
  return {
      name,
      type,
      {static_cast<std::uint64_t>(tensor.size(0)), static_cast<std::uint64_t>(tensor.size(1))},
      {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}};
}

// A copy, since the file's bytes are a mapping that ends with the file and may lie unaligned.
torch::Tensor copied(
    const GgufTensor& tensor, const std::vector<std::int64_t>& shape, torch::Dtype dtype) {
  torch::Tensor copy = torch::empty(shape, dtype);
  std::memcpy(copy.data_ptr(), tensor.bytes.data(), tensor.bytes.size());
  return copy;
}

// Blocks of 32: a float16 scale, then 32 signed bytes.
torch::Tensor from_q8_0(const GgufTensor& tensor) {
  constexpr std::int64_t kBlock = 34;
  const auto blocks = static_cast<std::int64_t>(tensor.bytes.size()) / kBlock;
  const torch::Tensor raw = copied(tensor, {blocks, kBlock}, torch::kUInt8);
  const torch::Tensor scale =
      raw.slice(1, 0, 2).contiguous().view(torch::kFloat16).to(torch::kFloat32);
  return raw.slice(1, 2).contiguous().view(torch::kInt8).to(torch::kFloat32).mul_(scale);
}

torch::Tensor gguf_to_float32(const GgufTensor& tensor) {
  std::vector<std::int64_t> shape;
  for (const std::uint64_t size : tensor.shape) {
    shape.push_back(static_cast<std::int64_t>(size));
  }
  if (tensor.type == GgufType::kQ8_0) {
    return from_q8_0(tensor).view(shape);
  }
  for (const GgufEncoding& encoding : kEncodings) {
    if (encoding.type == tensor.type) {
      return copied(tensor, shape, encoding.dtype).to(torch::kFloat32);
    }
  }
  ERRATA_FAIL(ErrorCode::kInternal, "a GGUF type without a dtype");
}

void check_kind(const GgufFile& file, const GgufNames& names) {
  const std::string where = file.path().string();
  const std::string& kind = file.text(kFileKindKey);
  ERRATA_CHECK(
      kind == "adapter",
      ErrorCode::kUnsupported,
      where,
      ": a GGUF file of type '",
      kind,
      "'; expected an adapter. errata reads models in Hugging Face layout only");
  const std::string& adapter = file.text(kAdapterKindKey);
  ERRATA_CHECK(
      adapter == "lora",
      ErrorCode::kUnsupported,
      where,
      ": adapter.type '",
      adapter,
      "' is not supported; expected lora");
  const std::string& architecture = file.text(kArchitectureKey);
  ERRATA_CHECK(
      architecture == names.architecture(),
      ErrorCode::kCorrupt,
      where,
      ": an adapter of architecture '",
      architecture,
      "', but this model is '",
      names.architecture(),
      "'");
}

bool is_empty_array(const GgufValue& value) {
  const auto* array = std::get_if<GgufArray>(&value);
  return array != nullptr && array->count == 0;
}

// Keys below `adapter.` say what the adapter computes; the others where it comes from.
void check_adapter_keys(const GgufFile& file) {
  constexpr std::array kKnown = {
      std::string_view(kAdapterKindKey),
      std::string_view(kAlphaKey),
      std::string_view("adapter.lora.task_name"),
      std::string_view("adapter.lora.prompt_prefix")};
  for (const auto& [key, value] : file.values()) {
    const bool passes = !key.starts_with("adapter.") || is_empty_array(value) ||
                        std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end();
    ERRATA_CHECK(
        passes,
        ErrorCode::kUnsupported,
        file.path().string(),
        ": key '",
        key,
        "' changes what the adapter computes and is not supported",
        key == kActivatedKey ? " (an activated LoRA, which is on after certain tokens only)" : "");
  }
}

double read_alpha(const GgufFile& file) {
  const auto found = file.values().find(kAlphaKey);
  if (found == file.values().end()) {
    return 0; // llama.cpp's reading
  }
  const float* alpha = std::get_if<float>(&found->second);
  ERRATA_CHECK(
      alpha != nullptr && std::isfinite(*alpha),
      ErrorCode::kCorrupt,
      file.path().string(),
      ": key '",
      kAlphaKey,
      "' is not a finite float32");
  return *alpha;
}

std::map<std::string, LoraHalves> read_halves(const GgufFile& file, const GgufNames& names) {
  std::map<std::string, LoraHalves> halves;
  for (const GgufTensor& tensor : file.tensors()) {
    const bool is_a = tensor.name.ends_with(kHalfA);
    const std::string where = concat(file.path().string(), ": tensor '", tensor.name, "'");
    ERRATA_CHECK(
        is_a || tensor.name.ends_with(kHalfB),
        ErrorCode::kUnsupported,
        where,
        " is no half of a LoRA pair; errata reads pairs of linear layers only");
    const std::string weight = tensor.name.substr(0, tensor.name.size() - kHalfA.size());
    const auto module = names.module(weight);
    ERRATA_CHECK(
        module.has_value(),
        ErrorCode::kCorrupt,
        where,
        " belongs to no module of architecture ",
        names.architecture());
    names.weight(*module); // refuses what llama.cpp cannot compute
    const torch::Tensor half = gguf_to_float32(tensor);
    (is_a ? halves[*module].a : halves[*module].b) =
        is_a && names.is_table(*module) ? half.t().contiguous() : half;
  }
  return halves;
}

} // namespace

std::string gguf_encoding(torch::Dtype dtype) {
  return encoding_of(dtype).name;
}

std::vector<LoraPair> fold_for_gguf(std::vector<LoraPair> pairs) {
  const double common = most_common(
      pairs, [](const LoraPair& pair) { return pair.scale * static_cast<double>(pair.rank()); });
  // An alpha of 0 means "no scaling" to llama.cpp: where all of them are 0, B becomes 0 instead.
  const double alpha = common == 0 ? 1.0 : common;
  for (LoraPair& pair : pairs) {
    fold_scale(pair, alpha / static_cast<double>(pair.rank()));
  }
  return pairs;
}

void write_gguf_adapter(
    const fs::path& path,
    const std::vector<LoraPair>& pairs,
    const DecoderConfig& model,
    torch::Dtype dtype,
    const GgufFileName& name,
    const std::map<std::string, std::string>& metadata) {
  const GgufNames names(model);
  const GgufEncoding& encoding = encoding_of(dtype);
  std::vector<torch::Tensor> held;
  std::vector<GgufTensor> tensors;
  for (const LoraPair& pair : pairs) {
    const std::string weight = names.weight(pair.module);
    const std::int64_t heads = names.interleaved_heads(pair.module);
    const torch::Tensor b = heads == 0 ? pair.b : interleave_rows(pair.b, heads);
    const torch::Tensor a = names.is_table(pair.module) ? pair.a.t() : pair.a;
    held.push_back(a.to(dtype).contiguous());
    tensors.push_back(gguf_tensor(concat(weight, kHalfA), held.back(), encoding.type));
    held.push_back(b.to(dtype).contiguous());
    tensors.push_back(gguf_tensor(concat(weight, kHalfB), held.back(), encoding.type));
  }
  const double alpha = pairs.front().scale * static_cast<double>(pairs.front().rank());
  write_gguf(path, gguf_keys(names, name, alpha, encoding, metadata), tensors);
}

std::unique_ptr<Adapter> load_gguf_adapter(Decoder& model, const fs::path& path) {
  const GgufNames names(model->config());
  const GgufFile file(path);
  check_kind(file, names);
  check_adapter_keys(file);
  const double alpha = read_alpha(file);
  const auto scale = [&](std::int64_t rank) {
    return alpha == 0 ? 1.0 : alpha / static_cast<double>(rank);
  };
  std::vector<LoraPair> pairs = complete_pairs(model, read_halves(file, names), scale, path);
  for (LoraPair& pair : pairs) {
    const std::int64_t heads = names.interleaved_heads(pair.module);
    if (heads != 0) {
      pair.b = separate_rows(pair.b, heads);
    }
  }
  return attach_lora_pairs(model, pairs);
}

bool is_gguf_adapter(const fs::path& path) {
  try {
    return is_gguf_file(path) && GgufFile(path).text(kFileKindKey) == "adapter";
  } catch (const Error&) {
    return false; // damaged
  }
}

std::map<std::string, std::string> gguf_metadata(const fs::path& path) {
  const GgufFile file(path);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : file.values()) {
    const auto* text = std::get_if<std::string>(&value);
    if (text != nullptr && key.starts_with(kOwnPrefix)) {
      metadata.emplace(key, *text);
    }
  }
  return metadata;
}

} // namespace errata::peft
