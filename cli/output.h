#pragma once

#include <nlohmann/json_fwd.hpp>

#include <iosfwd>

namespace errata::cli {

/// One JSON document with a line end. Bytes that are not UTF-8 (a prompt from the command line)
/// become U+FFFD, numbers that are not finite null.
void print_json(std::ostream& out, const nlohmann::ordered_json& value);

} // namespace errata::cli
