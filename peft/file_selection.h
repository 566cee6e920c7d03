#pragma once

#include "core/decoder.h"
#include "peft/adapter.h"

#include <string>
#include <vector>

// What the config of a file means for this decoder: it was written for the names of a class that
// wraps it, of which `prefix` is what stands for the decoder's root (`AdapterTensors`).

namespace errata::peft {

/// The modules that the config selects when the decoder's modules carry the file's names.
std::vector<std::string> select_as_in_file(
    const Decoder& model, const AdapterConfig& config, const std::string& prefix);

/// PEFT's ensure_weight_tying written out: what a file has of the embedding or the head of a tied
/// model it has of both, with equal values.
AdapterConfig name_tied_modules(
    const Decoder& model, AdapterConfig config, const std::string& prefix);

/// The config, which selects `modules`, in the decoder's own names. Only when the file's names were
/// others and the selection or the patterns depend on that are they written out module by module.
AdapterConfig in_own_names(
    const Decoder& model,
    const AdapterConfig& config,
    const std::vector<std::string>& modules,
    const std::string& prefix);

} // namespace errata::peft
