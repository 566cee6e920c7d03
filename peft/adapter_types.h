#pragma once

#include "core/base/json.h"
#include "peft/adapter.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace errata::peft {

/// The fields of an adapter_config.json.
struct ConfigFile {
  const JsonFields& fields;
  const OrderedJson& ordered; ///< the same in the order of the file
};

/// What the values of an adapter are when it has just been attached.
enum class Start {
  kFresh,    ///< those that training begins with
  kFromFile, ///< any: others replace them, so that none are drawn or computed
};

/// One kind of PEFT adapter: a pair of files of its own and a line in `adapter_types()`.
struct AdapterType {
  std::string_view peft_type; ///< as PEFT writes it
  bool own = false;           ///< errata's: an `errata_type` with names that PEFT does not know
  std::string_view name;      ///< as people write it, for messages
  /// Names of tensors that belong to no module.
  std::vector<std::string_view> shared_tensors;
  bool has_layers = true;   ///< PEFT's config knows layers_to_transform
  bool has_excludes = true; ///< and exclude_modules
  /// How PEFT's `bias` calls the biases of the targets; empty: it knows no biases.
  std::string_view bias_of_targets = {};
  bool adapts_tables = false;  ///< also embeddings may be targets
  bool selects_linears = true; ///< has target_modules
  /// The modules that a config without targets selects on this family; empty: it must name them.
  /// Null where the type selects none.
  std::vector<std::string> (*default_targets)(const std::string& model_type) = nullptr;
  /// What is out of range is `kInvalidArgument` (a config in memory) and said by field name.
  void (*check)(const AdapterConfig& config);
  /// Reads what the type has of its own; fields that say which modules are read already.
  void (*read)(const ConfigFile& file, AdapterConfig& config);
  /// The keys that `read` takes.
  std::vector<std::string_view> keys;
  /// Adds what `read` reads.
  void (*write)(const AdapterConfig& config, OrderedJson& json);
  /// Attaches to `modules`. On a model without memory (the meta device) only shapes are made.
  std::unique_ptr<Adapter> (*attach)(
      Decoder& model,
      AdapterConfig config,
      const std::vector<std::string>& modules,
      Start start,
      std::uint64_t seed);
};

const std::vector<const AdapterType*>& adapter_types();
/// Null when PEFT's `peft_type` is not supported.
const AdapterType* find_adapter_type(std::string_view peft_type);
/// True when a change of the matrices that it targets, and of nothing else (a bias, a prompt, a
/// module of modules_to_save), is all that it does.
bool changes_weights_alone(const Adapter& adapter);
/// Where what this adapter computes can go, for the end of a message.
std::string way_out(const Adapter& adapter);

/// PEFT's word for what is trained of the biases, and back; nothing for a word that the type does
/// not know.
std::string trained_bias_name(const AdapterType& type, TrainedBias bias);
std::optional<TrainedBias> parse_trained_bias(const AdapterType& type, std::string_view name);
/// Its words, for messages: "none, all or lora_only".
std::string bias_choices(const AdapterType& type);

/// The type of a config in memory, which is one of them.
const AdapterType& adapter_type(const AdapterConfig& config);

} // namespace errata::peft
