#pragma once

#include "cli/edit_batch.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace errata::cli {

/// What a sweep compares (docs/formats/sweep.md).
struct SweepPlan {
  struct Row {
    std::string name; ///< also of its folder
    EditBatchOptions options;
  };
  /// One run of every row.
  struct Repeat {
    std::uint64_t seed = 0;
    std::uint64_t fold = 0; ///< which unchanged facts are held out
  };
  std::vector<Row> rows;
  std::vector<Repeat> repeats;
};

/// Reads a plan, rows with a grid expanded; `given` replaces entries of its `defaults`. Damaged
/// JSON and fields of another type are `kCorrupt`; an unknown option, a value out of range, no
/// rows, a name twice or rows that would be asked different questions `kInvalidArgument`.
SweepPlan read_sweep_plan(
    const std::filesystem::path& file, const std::map<std::string, std::string>& given);

/// The rows called `names`, or made from a grid of that name; all for no names. A name without a
/// row is `kInvalidArgument`.
void keep_rows(SweepPlan& plan, const std::vector<std::string>& names);

} // namespace errata::cli
