#pragma once

#include <array>
#include <cstdint>

namespace errata::editing {

class Database;

/// "ERRA": tells a store from any other SQLite file.
inline constexpr std::int64_t kApplicationId = 0x45525241;
/// Of the schema that this program writes (`PRAGMA user_version`).
inline constexpr std::int64_t kSchemaVersion = 2;

/// An index of `facts` that reading needs and adding does not (bulk.h).
struct SearchIndex {
  const char* name;
  const char* columns;
};
inline constexpr std::array<SearchIndex, 5> kSearchIndices = {{
    {"facts_by_object", "(object)"},
    {"facts_by_relation", "(relation)"},
    {"facts_by_start", "(from_day) WHERE from_day IS NOT NULL"},
    {"facts_by_end", "(to_day) WHERE to_day IS NOT NULL"},
    {"facts_by_recording", "(recorded)"},
}};

/// Marks a new, empty file as a store of the given version; `require_schema` takes it on from
/// there.
void initialise_schema(Database& database, std::int64_t version = kSchemaVersion);

/// Throws `kCorrupt` for a file that is not a store, `kUnsupported` for one of a newer program;
/// brings an older one up to date in one transaction.
void require_schema(Database& database);

} // namespace errata::editing
