#include "peft/merged_weights.h"

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/module_names.h"
#include "core/safetensors.h"

#include <array>
#include <cstdio>
#include <map>
#include <string_view>

namespace errata::peft {
namespace {

using Names = std::vector<std::string>;

// Where a checkpoint may keep what the decoder calls `model.…`: multimodal ones add a prefix,
// GPT-2's own leave the root away. Nothing where it does not.
std::optional<std::string> find_name(const WeightFiles& base, const std::string& name) {
  const std::string below = name.substr(name.find('.') + 1);
  const std::array candidates = {
      name, "language_model." + name, "model.language_model." + below, below};
  for (const std::string& candidate : candidates) {
    if (base.has(candidate)) {
      return candidate;
    }
  }
  return std::nullopt;
}

std::string file_name(const WeightFiles& base, const std::string& name) {
  const auto found = find_name(base, name);
  ERRATA_CHECK(found.has_value(), ErrorCode::kInternal, "the base has no tensor ", name);
  return *found;
}

std::string head_weight() {
  return concat(kHeadName, ".weight");
}

// What a file of tensors with the embedding under this name calls the head's weight.
std::string new_head_name(const std::string& embedding) {
  constexpr std::string_view kMultimodal = "language_model."; // transformers 4
  return concat(embedding.starts_with(kMultimodal) ? kMultimodal : "", head_weight());
}

// Adds deltas matrix by matrix, so that no more than one is expanded at a time.
class Merger {
 public:
  Merger(
      const WeightFiles& base,
      const std::vector<std::unique_ptr<Adapter>>& adapters,
      const std::set<std::string>& transposed,
      const std::string& untied)
      : base_(base) {
    if (!untied.empty()) {
      const std::string embedding = file_name(base, untied + ".weight");
      const auto own = find_name(base, head_weight()); // a copy that some files keep
      head_ = own.value_or(new_head_name(embedding));
      head_source_ = own.value_or(embedding);
    }
    for (const auto& adapter : adapters) {
      for (const std::string& module : adapter->modules()) {
        const std::string weight = module + ".weight";
        if (adapter->changes_weight(module)) {
          changes_[name_in_file(weight)].push_back(
              {adapter.get(), module, transposed.contains(weight), false});
        }
      }
    }
    counts_.modules = static_cast<std::int64_t>(changes_.size());
    for (const auto& adapter : adapters) {
      for (const std::string& module : adapter->modules()) {
        if (adapter->bias_delta(module).defined()) {
          changes_[name_in_file(module + ".bias")].push_back({adapter.get(), module, false, true});
        }
      }
    }
  }

  /// The tensors to write: the base's, and a head that is tied no longer.
  Names names() const {
    Names all = base_.names();
    if (!head_.empty() && !base_.has(head_)) {
      all.push_back(head_);
    }
    return all;
  }

  /// Where the base has the values of a tensor.
  const std::string& source(const std::string& name) const {
    return name == head_ ? head_source_ : name;
  }

  torch::Tensor tensor(const std::string& name, torch::Dtype dtype) {
    const torch::Tensor weight = base_.file(source(name)).tensor(source(name));
    const auto found = changes_.find(name);
    if (found == changes_.end()) {
      return weight; // the writer converts it
    }
    torch::Tensor delta;
    for (const auto& [adapter, module, transposed, bias] : found->second) {
      torch::Tensor change =
          (bias ? adapter->bias_delta(module) : adapter->delta(module)).to(torch::kCPU);
      if (transposed) {
        change = change.t().contiguous();
      }
      delta = delta.defined() ? delta.add_(change) : change;
    }
    const torch::Tensor changed = delta.ne(0);
    const torch::Tensor merged = delta.add_(weight).to(dtype);
    ERRATA_CHECK(
        torch::isfinite(merged).all().item<bool>(),
        ErrorCode::kCorrupt,
        "merged weight ",
        name,
        " is not finite in ",
        torch::toString(dtype),
        "; the adapter or the base is damaged");
    counts_.changed_entries += changed.sum().item<std::int64_t>();
    counts_.rounded_back +=
        merged.eq(weight.to(dtype)).logical_and_(changed).sum().item<std::int64_t>();
    return merged;
  }

  const MergeCounts& counts() const { return counts_; }

 private:
  struct Change {
    const Adapter* adapter;
    std::string module;
    bool transposed; ///< the file has its weight as [in, out]
    bool bias;       ///< instead of the weight
  };

  std::string name_in_file(const std::string& name) const {
    return name == head_weight() && !head_.empty() ? head_ : file_name(base_, name);
  }

  const WeightFiles& base_;
  std::string head_;        ///< name of a head that is tied no longer; empty: none
  std::string head_source_; ///< what the base has for it
  std::map<std::string, std::vector<Change>> changes_;
  MergeCounts counts_;
};

std::uint64_t byte_size(const WeightFiles& base, const std::string& name, torch::Dtype dtype) {
  std::uint64_t bytes = c10::elementSize(dtype);
  for (const std::int64_t size : base.file(name).shape(name)) {
    bytes *= static_cast<std::uint64_t>(size);
  }
  return bytes;
}

std::string shard_name(std::size_t index, std::size_t count) {
  std::array<char, 64> name{};
  std::snprintf(name.data(), name.size(), "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name.data();
}

} // namespace

MergeCounts write_merged_weights(
    const WeightFiles& base,
    const std::vector<std::unique_ptr<Adapter>>& adapters,
    const std::set<std::string>& transposed,
    const std::string& untied,
    const std::filesystem::path& directory,
    std::optional<torch::Dtype> dtype,
    std::uint64_t shard_bytes,
    const ProgressCallback& progress) {
  const torch::NoGradGuard no_grad;
  Merger merger(base, adapters, transposed, untied);
  std::vector<Names> shards(1);
  std::uint64_t filled = 0;
  std::uint64_t total = 0;
  for (const std::string& name : merger.names()) {
    const std::string& source = merger.source(name);
    const std::uint64_t bytes = byte_size(base, source, merged_dtype(base, source, dtype));
    if (filled > 0 && filled + bytes > shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(name);
    filled += bytes;
    total += bytes;
  }

  OrderedJson index;
  index["metadata"]["total_size"] = total;
  index["weight_map"] = OrderedJson::object();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string file =
        shards.size() == 1 ? "model.safetensors" : shard_name(i, shards.size());
    std::vector<std::pair<std::string, torch::Tensor>> tensors;
    for (const std::string& name : shards[i]) {
      tensors.emplace_back(
          name, merger.tensor(name, merged_dtype(base, merger.source(name), dtype)));
      index["weight_map"][name] = file;
    }
    save_safetensors(directory / file, tensors, {}, dtype);
    report(
        progress,
        {"writing merged weights",
         static_cast<std::int64_t>(i + 1),
         static_cast<std::int64_t>(shards.size()),
         "files",
         ""});
  }
  if (shards.size() > 1) {
    write_json(directory / "model.safetensors.index.json", index);
  }
  return merger.counts();
}

torch::Dtype merged_dtype(
    const WeightFiles& base, const std::string& name, std::optional<torch::Dtype> dtype) {
  const std::string in_file = file_name(base, name);
  const torch::Dtype own = base.file(in_file).dtype(in_file);
  return dtype && c10::isFloatingType(own) ? *dtype : own;
}

} // namespace errata::peft
