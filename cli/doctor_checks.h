#pragma once

#include "cli/command.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace errata::cli {

/// Versions of errata and of what it was built with.
nlohmann::ordered_json describe_versions();

/// Cores, threads, memory, bfloat16 hardware, CUDA, and the speed of a matrix product measured for
/// a moment on `device`.
nlohmann::ordered_json describe_machine(const std::string& device);

/// Loads a model and each adapter onto it, and runs a few tokens through it. Throws what loading
/// throws; `kCorrupt` when the output is not finite.
nlohmann::ordered_json check_model(
    const std::string& directory,
    const std::vector<std::string>& adapters,
    const CommonOptions& common);

/// Opens and verifies a store. `kCorrupt` with the first finding when it is not sound.
nlohmann::ordered_json check_store(const std::string& path);

} // namespace errata::cli
