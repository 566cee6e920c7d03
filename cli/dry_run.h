#pragma once

#include "cli/edit_setup.h"
#include "core/model.h"

#include <iosfwd>

namespace errata::cli {

/// What `edit-batch` would do, and nothing else: edits, modules, parameters and memory.
void print_dry_run(const EditSetup& setup, const Model& model, bool json_asked, std::ostream& out);

} // namespace errata::cli
