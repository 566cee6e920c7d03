#pragma once

#include "cli/command.h"
#include "cli/editor_flags.h"
#include "cli/question_options.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace errata::cli {

struct EditBatchOptions {
  std::string model;
  std::string store;
  std::string from;
  std::string to;
  std::string set;                  ///< of the store, instead of days
  std::string edits;                ///< JSON lines, instead of a store
  std::vector<std::string> without; ///< ids of edits that are not made
  std::string run;                  ///< --without: the run to make anew; empty: the last that fits
  std::string batches; ///< once, yearly, monthly: one after the other; empty: all together
  std::string out;
  std::vector<std::string> stats_text; ///< files, for methods that solve for weights
  std::string augment;                 ///< empty: all with a store, none otherwise
  double rehearsal_ratio = -1;
  double ripple_ratio = -1;
  double echo_ratio = -1;
  double rehearsal_share = 0.8;
  std::uint64_t fold = 0;
  EditorFlags editor;

  QuestionOptions questions{.wordings = 1};
  /// Folder that keeps what the untouched base answered, for several runs; empty: with the run.
  std::string base_answers;

  bool dry_run = false;
  bool no_eval = false;
  bool resume = false;
  double checkpoint_every = 30; ///< seconds
};

/// Everything that edit-batch can be told, but for what all commands have.
void add_edit_batch_options(CLI::App& command, EditBatchOptions& options);
/// The same from an object of long option names and values, with all checks of the command line.
EditBatchOptions parse_edit_batch_options(const nlohmann::json& options, const std::string& where);

/// Plans, answers with the untouched model, trains, saves the adapter, answers again and writes the
/// run directory (docs/formats/run.md). Prints the result to `streams.out`.
void edit_batch(
    const EditBatchOptions& options, const CommonOptions& common, const Streams& streams);

} // namespace errata::cli
