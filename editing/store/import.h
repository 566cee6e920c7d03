#pragma once

#include "core/base/progress.h"
#include "datasets/importers/import_format.h"
#include "editing/store/edit_store.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

// Data sets into the store. Each import is one change, all or nothing; the same file a second time
// changes nothing.

namespace errata::editing {

/// What an import read and did.
struct ImportReport {
  std::int64_t change = 0; ///< 0 when nothing was different, and after a dry run
  /// Relations, entities, facts, edits and cases by what they did.
  std::int64_t read = 0;
  std::int64_t added = 0;
  std::int64_t superseded = 0;
  std::int64_t unchanged = 0;
  // The same by kind.
  std::int64_t relations = 0;
  std::int64_t entities = 0;
  std::int64_t facts = 0;
  std::int64_t edits = 0;
  std::int64_t multi_hop = 0;

  std::int64_t skipped = 0; ///< records that could not be taken
  std::int64_t remarks = 0; ///< records that were taken in part, or with a caution
  /// The first of each, with file and line.
  std::vector<std::string> first_skipped;
  std::vector<std::string> first_remarks;

  std::string set; ///< where edits and cases went
  /// In that set as it is now.
  std::vector<SetConflict> conflicts;
};

struct ImportRequest {
  std::string format; ///< one of `datasets::import_formats()`
  datasets::ImportOptions options;
  std::string set; ///< of edits and cases; empty: the file's name without its extension
  bool dry_run = false;
  /// Hears of every record that is left out (`"skipped"`) and of every remark, however many.
  std::function<void(std::string_view kind, const std::string& reason)> note;
};

/// Reads the file record by record; memory does not grow with it. `kCorrupt` for a damaged file and
/// for one of which no record can be taken.
ImportReport import_file(
    EditStore& store, const ImportRequest& request, const ProgressCallback& progress = {});

/// The bundled Factbook, or one like it: relations, entities, dated facts, and its multi-hop cases
/// as the set `factbook`.
ImportReport import_factbook(
    EditStore& store,
    const std::filesystem::path& directory,
    const ProgressCallback& progress = {});

} // namespace errata::editing
