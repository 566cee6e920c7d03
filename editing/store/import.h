#pragma once

#include "core/base/progress.h"
#include "editing/store/edit_store.h"

#include <cstdint>
#include <filesystem>
#include <string_view>

// Data sets into the store. Each import is one change, all or nothing; the same file a second time
// changes nothing.

namespace errata::editing {

/// Rows of the files by what they did.
struct ImportReport {
  std::int64_t change = 0; ///< 0 when nothing was different
  std::int64_t read = 0;
  std::int64_t added = 0;
  std::int64_t superseded = 0;
  std::int64_t unchanged = 0;
};

/// The bundled Factbook: relations, entities, dated facts, and its multi-hop cases as the set
/// `factbook`.
ImportReport import_factbook(
    EditStore& store,
    const std::filesystem::path& directory,
    const ProgressCallback& progress = {});

/// Own facts; `relations` may be empty when the store knows them already.
ImportReport import_facts(
    EditStore& store,
    const std::filesystem::path& facts,
    const std::filesystem::path& relations = {},
    const ProgressCallback& progress = {});

ImportReport import_relations(EditStore& store, const std::filesystem::path& relations);

ImportReport import_multi_hop(
    EditStore& store, const std::filesystem::path& file, std::string_view set);

ImportReport import_explicit_edits(
    EditStore& store, const std::filesystem::path& file, std::string_view set);

} // namespace errata::editing
