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

constexpr std::string_view kMultimodalHead = "language_model."; // transformers 4

// "model." of "model.layers.3.…"; nothing when the name is below none of the decoder's parts.
std::optional<std::string> model_prefix(const std::string& name, const ModuleNames& names) {
  std::vector<std::string> prefixes;
  for (const std::string_view before : kBeforeRoot) {
    prefixes.push_back(concat(before, names.root, "."));
  }
  prefixes.insert(prefixes.end(), kInsteadOfRoot.begin(), kInsteadOfRoot.end());
  const auto found = std::find_if(prefixes.begin(), prefixes.end(), [&](const auto& prefix) {
    const std::array parts = {&names.layers, &names.embedding, &names.positions, &names.final_norm};
    return std::any_of(parts.begin(), parts.end(), [&](const std::string* part) {
      return !part->empty() && name.starts_with(concat(prefix, *part, "."));
    });
  });
  return found == prefixes.end() ? std::nullopt : std::optional(*found);
}

// "lm_head.…" of what the output head has; nothing for others.
std::optional<std::string> head_name(const std::string& name) {
  std::string_view below = name;
  if (below.starts_with(kMultimodalHead)) {
    below.remove_prefix(kMultimodalHead.size());
  }
  return below.starts_with(concat(kHeadName, ".")) ? std::optional(std::string(below))
                                                   : std::nullopt;
}

// PEFT with `bias` saves also the biases beside those of modules_to_save, which nothing computes
// with, and the latter twice.
bool is_unused_bias(std::string_view name) {
  constexpr auto kNone = std::string_view::npos;
  return name.ends_with(".bias") &&
         (name.find(".original_module.") != kNone || name.find(".modules_to_save.") != kNone);
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
    // AdaLoRA's init_r once more, in files of older PEFT.
    if (inner.ends_with(".ranknum") || is_unused_bias(inner)) {
      continue;
    }
    if (const auto head = head_name(inner)) {
      result.tensors.emplace(*head, adapter_float32(file.tensor(name), where));
      continue;
    }
    const auto here = model_prefix(inner, names);
    ERRATA_CHECK(
        here.has_value(),
        ErrorCode::kCorrupt,
        where,
        " is unexpected; errata knows adapters of a text decoder's modules");
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

std::string path_in_file(
    const std::string& module, const std::string& prefix, const ModuleNames& names) {
  if (module == kHeadName) {
    return prefix == concat(kMultimodalHead, names.root, ".") ? concat(kMultimodalHead, kHeadName)
                                                              : module;
  }
  return prefix + module.substr(names.root.size() + 1);
}

} // namespace errata::peft
