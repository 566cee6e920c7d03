#pragma once

#include "core/base/progress.h"

#include <iosfwd>
#include <string>

namespace errata::cli {

/// A callback that draws to `err`. `style`: "bar" (one line redrawn), "plain" (a line every few
/// seconds), "json" (an object a line), "none", or "auto" (bar on a terminal, else plain).
ProgressCallback make_progress_display(const std::string& style, std::ostream& err);

} // namespace errata::cli
