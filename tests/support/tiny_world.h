#pragma once

#include <filesystem>

namespace errata::testing_support {

/// Writes an invented world in the documented shapes: `facts.jsonl`, `relations.json` and
/// `multihop.jsonl` about lighthouses, their keepers and the keepers' homes. Ten keepers change
/// between 2020-01-01 and 2022-01-01. It shares no entity, relation or wording with the Factbook.
void write_tiny_world(const std::filesystem::path& directory);

} // namespace errata::testing_support
