#pragma once

#include "datasets/record.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

// Readers of the files that users write themselves (docs/formats/facts.md). Every error names file,
// line and field: `kNotFound` for a missing file, `kCorrupt` for damage, contradictions and bad
// dates, `kInvalidArgument` for a field that does not exist (with the nearest that does).

namespace errata::datasets {

/// Calls `visit(fact, line)` for each fact of a JSON lines file.
void read_facts(
    const std::filesystem::path& path,
    const std::function<void(const Fact& fact, std::int64_t line)>& visit);

/// Relations by name, from one JSON object `{name: {...}}`.
std::vector<Relation> read_relations(const std::filesystem::path& path);
/// The same from a value that stands in another file.
std::vector<Relation> parse_relations(const nlohmann::json& value, const std::string& where);

/// Multi-hop cases, JSON lines in the shape of the Factbook's multihop.jsonl. An empty file and a
/// repeated id are errors.
std::vector<MultiHopCase> read_multi_hop(const std::filesystem::path& path);
/// The same one by one; ids may repeat.
void read_multi_hop(
    const std::filesystem::path& path,
    const std::function<void(const MultiHopCase& item, std::int64_t line)>& visit);

/// Edits given outright. An empty file, a repeated id and an empty `target_new` are errors.
std::vector<ExplicitEdit> read_explicit_edits(const std::filesystem::path& path);
/// The same one by one; ids may repeat.
void read_explicit_edits(
    const std::filesystem::path& path,
    const std::function<void(const ExplicitEdit& edit, std::int64_t line)>& visit);

} // namespace errata::datasets
