#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/device.h"
#include "core/model.h"
#include "core/model_config.h"
#include "core/version.h"
#include "core/weight_files.h"

#include <array>
#include <set>

namespace errata {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 6> kTokenizerFiles = {
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja"};

// Gemma's, for a decoder that came from nowhere.
constexpr std::int64_t kPad = 0;
constexpr std::int64_t kEos = 1;
constexpr std::int64_t kBos = 2;

SpecialIds special_ids(const fs::path& tokenizer_directory) {
  SpecialIds ids;
  if (!tokenizer_directory.empty()) {
    ids = read_special_ids(tokenizer_directory);
    if (fs::exists(tokenizer_directory / "tokenizer.model") ||
        fs::exists(tokenizer_directory / "tokenizer.json")) {
      const auto tokenizer = Tokenizer::load(tokenizer_directory);
      if (ids.eos.empty() && tokenizer->eos() >= 0) {
        ids.eos.push_back(tokenizer->eos());
      }
      if (!ids.bos && tokenizer->bos() >= 0) {
        ids.bos = tokenizer->bos();
      }
    }
  }
  if (ids.eos.empty()) {
    ids.eos.push_back(kEos);
  }
  ids.bos = ids.bos.value_or(kBos);
  ids.pad = ids.pad.value_or(kPad);
  return ids;
}

void copy_tokenizer(const fs::path& from, const fs::path& to) {
  if (from.empty() || fs::weakly_canonical(from) == fs::weakly_canonical(to)) {
    return;
  }
  require_directory(from, "tokenizer directory");
  for (const char* name : kTokenizerFiles) {
    if (fs::exists(from / name)) {
      write_file(to / name, read_file(from / name));
    }
  }
}

OrderedJson generation_config(const SpecialIds& ids) {
  return {
      {"bos_token_id", *ids.bos},
      {"eos_token_id", ids.eos.size() == 1 ? OrderedJson(ids.eos.front()) : OrderedJson(ids.eos)},
      {"pad_token_id", *ids.pad}};
}

} // namespace

void save_model(
    const fs::path& directory,
    const Decoder& decoder,
    torch::Dtype dtype,
    const fs::path& tokenizer_directory,
    std::uint64_t shard_bytes,
    const std::map<std::string, std::string>& metadata) {
  const SpecialIds ids = special_ids(tokenizer_directory);
  const OrderedJson config = hf_config(decoder->config(), dtype_name(dtype), ids);
  make_directories(directory);
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  const std::set<std::string> transposed = decoder->transposed_in_files();
  for (const auto& item : decoder->named_parameters()) {
    tensors.emplace_back(
        item.key(), transposed.contains(item.key()) ? item.value().t() : item.value());
  }
  std::map<std::string, std::string> all = metadata;
  all.emplace("errata.version", build_info().version);
  save_weight_files(directory, tensors, dtype, shard_bytes, all);
  copy_tokenizer(tokenizer_directory, directory);
  write_json(directory / "generation_config.json", generation_config(ids));
  // Last: a directory without it is no model, so an interrupted save cannot be taken for one.
  write_json(directory / "config.json", config);
}

} // namespace errata
