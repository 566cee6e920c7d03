#pragma once

#include "cli/command.h"
#include "cli/edit_batch.h"

namespace errata::cli {

/// For `edit-batch --without EDIT`: fills `options` and the common ones with what the recorded run
/// was made with, the last one that carries the edits or the one named with --run. `command` tells
/// what was given beside them: the model, the store, where to write and how to run. Anything else
/// is `kInvalidArgument`, as is an edit that the run does not carry.
void use_recorded_run(const CLI::App& command, EditBatchOptions& options, CommonOptions& common);

} // namespace errata::cli
