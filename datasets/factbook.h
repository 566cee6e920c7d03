#pragma once

#include "datasets/record.h"

#include <filesystem>
#include <vector>

namespace errata::datasets {

/// The bundled table of dated country facts (datasets/factbook/README.md).
struct Factbook {
  std::vector<Relation> relations;
  std::vector<Entity> entities;
  /// With intervals [valid_from, valid_to) made from printed and observed dates.
  std::vector<Fact> facts;
  std::vector<MultiHopCase> multi_hop;
  /// Every change after the base day as the source lists it, in temporal order; several of them may
  /// follow each other in one slot.
  std::vector<Edit> changes;
};

/// The two days between which the data set states its changes.
inline constexpr Date kFactbookBase{2021, 1, 31};
inline constexpr Date kFactbookEnd{2026, 1, 22};

/// Reads facts.jsonl, entities.json, relations.json, multihop.jsonl and edits.jsonl of `directory`.
/// Errors name file, line and field.
Factbook read_factbook(const std::filesystem::path& directory);

/// Where the bundled data are: in the source tree, or beside an installed program
/// (share/errata/factbook). `kNotFound` when in neither.
std::filesystem::path factbook_directory();

} // namespace errata::datasets
