#pragma once

// A dump is JSON lines (docs/formats/store.md):
//
//   {"errata_store": 1, "schema": 1}                            what follows, and its columns
//   {"table": "facts", "id": 1, "subject": 4, ...}              one line a row, NULL left out
//   {"end": 8712, "sha256": "..."}                              rows, and the hash of all before
//
// Tables come in an order in which a row refers to rows above it, except for facts.superseded_by.

#include <array>
#include <string_view>

namespace errata::editing {

inline constexpr const char* kDumpMagic = "errata_store";
inline constexpr int kDumpVersion = 1;

struct DumpTable {
  std::string_view name;
  std::string_view order; ///< its primary key
};

inline constexpr std::array<DumpTable, 17> kDumpTables = {{
    {"changes", "id"},
    {"relations", "id"},
    {"wordings", "relation, kind, position"},
    {"entities", "id"},
    {"entity_aliases", "entity, position"},
    {"facts", "id"},
    {"fact_aliases", "fact, position"},
    {"sets", "id"},
    {"cases", "id"},
    {"case_hops", "case_id, day, position"},
    {"case_texts", "case_id, kind, position"},
    {"edits", "id"},
    {"edit_aliases", "edit, position"},
    {"probes", "id"},
    {"probe_answers", "probe, position"},
    {"runs", "id"},
    {"run_edits", "run, position"},
}};

} // namespace errata::editing
