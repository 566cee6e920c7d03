#pragma once

#include "core/base/json.h"

#include <cstdint>
#include <filesystem>
#include <functional>

namespace errata::datasets {

/// Calls `visit` for each element of the list that a YAML file holds, with the line on which it
/// begins; one element at a time is in memory. Scalars become strings, null stays null. Damage,
/// another kind of document, and aliases (`*name`) are `kCorrupt` or `kUnsupported` with the line.
void read_yaml_list(
    const std::filesystem::path& path,
    const std::function<void(const Json& value, std::int64_t line, std::int64_t byte)>& visit);

} // namespace errata::datasets
