#include "peft/adapter_tensors.h"

#include "core/base/error.h"
#include "core/safetensors.h"
#include "peft/adapter_config.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace errata::peft {
namespace {

// What stands before the root in the module paths of transformers' classes, and in place of it.
constexpr std::array<std::string_view, 3> kBeforeRoot = {"", "model.", "language_model."};
constexpr std::array<std::string_view, 3> kInsteadOfRoot = {
    "", "model.language_model.", "language_model."};

// "model." of "model.layers.3.…"; nothing when the name is not below the decoder's layers.
std::optional<std::string> model_prefix(const std::string& name, const ModuleNames& names) {
  std::vector<std::string> prefixes;
  for (const std::string_view before : kBeforeRoot) {
    prefixes.push_back(concat(before, names.root, "."));
  }
  prefixes.insert(prefixes.end(), kInsteadOfRoot.begin(), kInsteadOfRoot.end());
  const auto found = std::find_if(prefixes.begin(), prefixes.end(), [&](const auto& prefix) {
    return name.starts_with(concat(prefix, names.layers, "."));
  });
  return found == prefixes.end() ? std::nullopt : std::optional(*found);
}

bool names_embedding_or_head(const std::string& name, const ModuleNames& names) {
  return name.find(names.embedding + ".") != std::string::npos || name.starts_with("lm_head.") ||
         name.find(".lm_head.") != std::string::npos;
}

bool contains_name(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

} // namespace

torch::Tensor adapter_float32(const torch::Tensor& tensor, const std::string& where) {
  const torch::Dtype dtype = tensor.scalar_type();
  ERRATA_CHECK(
      dtype == torch::kFloat32 || dtype == torch::kBFloat16 || dtype == torch::kFloat16,
      ErrorCode::kUnsupported,
      where,
      " has dtype ",
      torch::toString(dtype),
      "; expected F32, BF16 or F16");
  // A copy in any case: the file's bytes are a read-only mapping.
  torch::Tensor copy = tensor.to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
  ERRATA_CHECK(
      torch::isfinite(copy).all().item<bool>(),
      ErrorCode::kCorrupt,
      where,
      " holds values that are not finite");
  return copy;
}

AdapterTensors read_adapter_tensors(
    const std::filesystem::path& path, const AdapterType* type, const ModuleNames& names) {
  const SafetensorsFile file(path);
  AdapterTensors result;
  std::optional<std::string> found_prefix;
  for (const std::string& name : file.names()) {
    const std::string where = concat(path.string(), ": tensor ", name);
    if (type != nullptr && contains_name(type->shared_tensors, name)) {
      result.tensors.emplace(name, adapter_float32(file.tensor(name), where));
      continue;
    }
    const std::string_view prefix = type != nullptr && !type->own ? kPeftPrefix : "";
    ERRATA_CHECK(
        name.starts_with(prefix),
        ErrorCode::kCorrupt,
        where,
        " is unexpected; PEFT's names start with ",
        prefix);
    const std::string inner = name.substr(prefix.size());
    if (inner.ends_with(".ranknum")) { // AdaLoRA's init_r once more, in files of older PEFT
      continue;
    }
    if (names_embedding_or_head(inner, names)) {
      ERRATA_CHECK(
          inner.ends_with(".base_layer.weight"),
          ErrorCode::kUnsupported,
          where,
          " changes the embedding or the output head, which is not supported; train linear layers "
          "only");
      continue;
    }
    const auto here = model_prefix(inner, names);
    ERRATA_CHECK(
        here.has_value(),
        ErrorCode::kCorrupt,
        where,
        " is unexpected; errata knows adapters of the decoder's layers");
    ERRATA_CHECK(
        !found_prefix || *found_prefix == *here,
        ErrorCode::kCorrupt,
        where,
        " starts with another module path than the tensors before it");
    found_prefix = here;
    result.tensors.emplace(
        concat(names.root, ".", inner.substr(here->size())),
        adapter_float32(file.tensor(name), where));
  }
  result.model_prefix = found_prefix.value_or(names.root + ".");
  return result;
}

} // namespace errata::peft
