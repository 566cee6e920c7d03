#include "core/weight_files.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/log.h"

#include <algorithm>
#include <cstdio>

namespace errata {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

// A shard is a plain file name: an index must not reach other files of the machine.
void check_shard_name(const std::string& shard, const std::string& tensor, const fs::path& index) {
  const bool plain = !shard.empty() && shard.find('/') == std::string::npos &&
                     shard.find('\\') == std::string::npos &&
                     shard.find('\0') == std::string::npos && shard != "." && shard != "..";
  ERRATA_CHECK(
      plain,
      ErrorCode::kCorrupt,
      index.string(),
      ": tensor '",
      tensor,
      "' lies in '",
      shard,
      "'; expected the name of a file in the same directory");
}

[[noreturn]] void fail_without_weights(const fs::path& directory) {
  for (const char* pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    ERRATA_CHECK(
        !fs::exists(directory / pickle),
        ErrorCode::kUnsupported,
        (directory / pickle).string(),
        " is a pickle; convert the model to safetensors (transformers: save_pretrained)");
  }
  ERRATA_FAIL(
      ErrorCode::kNotFound,
      "model directory ",
      directory.string(),
      " has neither ",
      kSingle,
      " nor ",
      kIndex);
}

std::uint64_t bytes_of(const torch::Tensor& tensor, torch::Dtype dtype) {
  return static_cast<std::uint64_t>(tensor.numel()) *
         (tensor.is_floating_point() ? torch::elementSize(dtype) : tensor.element_size());
}

std::string shard_name(std::size_t number, std::size_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "model-%05zu-of-%05zu.safetensors", number, count);
  return text;
}

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

std::vector<NamedTensors> split_into_shards(
    const NamedTensors& tensors, torch::Dtype dtype, std::uint64_t shard_bytes) {
  std::vector<NamedTensors> shards(1);
  std::uint64_t filled = 0;
  for (const auto& item : tensors) {
    const std::uint64_t bytes = bytes_of(item.second, dtype);
    if (!shards.back().empty() && filled + bytes > shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(item);
    filled += bytes;
  }
  return shards;
}

bool is_weight_file(const std::string& name) {
  return name == kSingle || name == kIndex ||
         (name.starts_with("model-") && name.ends_with(".safetensors"));
}

void remove_others(const fs::path& directory, const std::vector<std::string>& written) {
  for (const auto& item : fs::directory_iterator(directory)) {
    const std::string name = item.path().filename().string();
    const bool keep = std::find(written.begin(), written.end(), name) != written.end();
    if (is_weight_file(name) && !keep) {
      fs::remove(item.path());
    }
  }
}

} // namespace

WeightFiles::WeightFiles(const fs::path& directory) {
  require_directory(directory, "model directory");
  if (fs::exists(directory / kSingle)) {
    open_single(directory / kSingle);
  } else if (fs::exists(directory / kIndex)) {
    open_shards(directory / kIndex);
  } else {
    fail_without_weights(directory);
  }
}

void WeightFiles::open_single(const fs::path& path) {
  files_.emplace_back(path);
  for (const std::string& name : files_.back().names()) {
    files_of_[name] = 0;
  }
}

void WeightFiles::open_shards(const fs::path& index) {
  const Json document = read_json(index);
  const JsonFields fields(document, index.string());
  const Json* map = fields.find("weight_map");
  ERRATA_CHECK(
      map != nullptr && map->is_object() && !map->empty(),
      ErrorCode::kCorrupt,
      index.string(),
      ": no 'weight_map' with the shard of each tensor");
  const JsonFields weight_map(*map, index.string() + ": weight_map");
  std::map<std::string, std::size_t> numbers;
  for (const auto& item : map->items()) {
    const auto shard = weight_map.required<std::string>(item.key());
    check_shard_name(shard, item.key(), index);
    const auto [place, fresh] = numbers.emplace(shard, files_.size());
    if (fresh) {
      require_file(index.parent_path() / shard, "shard");
      files_.emplace_back(index.parent_path() / shard);
    }
    ERRATA_CHECK(
        files_[place->second].has(item.key()),
        ErrorCode::kCorrupt,
        index.string(),
        ": tensor '",
        item.key(),
        "' is not in ",
        shard);
    files_of_[item.key()] = place->second;
  }
  for (std::size_t i = 0; i < files_.size(); ++i) {
    for (const std::string& name : files_[i].names()) {
      const auto place = files_of_.find(name);
      ERRATA_CHECK(
          place == files_of_.end() || place->second == i,
          ErrorCode::kCorrupt,
          files_[i].path().string(),
          ": tensor '",
          name,
          "' is in another shard too");
      if (place == files_of_.end()) {
        log(LogLevel::kWarning,
            concat(
                files_[i].path().string(), ": tensor '", name, "' is not in the index; ignored"));
      }
    }
  }
}

std::vector<std::string> WeightFiles::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : files_of_) {
    names.push_back(name);
  }
  return names;
}

void save_weight_files(
    const fs::path& directory,
    const NamedTensors& tensors,
    torch::Dtype dtype,
    std::uint64_t shard_bytes,
    const std::map<std::string, std::string>& metadata) {
  const std::vector<NamedTensors> shards = split_into_shards(tensors, dtype, shard_bytes);
  if (shards.size() == 1) {
    save_safetensors(directory / kSingle, tensors, metadata, dtype);
    remove_others(directory, {kSingle});
    return;
  }
  OrderedJson map = OrderedJson::object();
  std::uint64_t total = 0;
  std::vector<std::string> written{kIndex};
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(i + 1, shards.size());
    save_safetensors(directory / name, shards[i], metadata, dtype);
    written.push_back(name);
    for (const auto& [tensor_name, tensor] : shards[i]) {
      map[tensor_name] = name;
      total += bytes_of(tensor, dtype);
    }
  }
  write_json(directory / kIndex, {{"metadata", {{"total_size", total}}}, {"weight_map", map}});
  remove_others(directory, written);
}

} // namespace errata
