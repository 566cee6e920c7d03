#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace errata::testing_support {

/// Writes an invented world in the documented shapes: `facts.jsonl`, `relations.json` and
/// `multihop.jsonl` about lighthouses, their keepers and the keepers' homes. Half of the
/// lighthouses (at most 160) change their keeper between 2020-01-01 and 2022-01-01, on `days` in
/// turn. It shares no entity, relation or wording with the Factbook.
void write_tiny_world(
    const std::filesystem::path& directory,
    int lighthouses = 20,
    const std::vector<std::string>& days = {"2021-03-14"});

} // namespace errata::testing_support
