#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace errata::cli {

/// One JSON document with a line end. Bytes that are not UTF-8 (a prompt from the command line)
/// become U+FFFD, numbers that are not finite null.
void print_json(std::ostream& out, const nlohmann::ordered_json& value);

/// "12 MB", millions of bytes.
std::string megabytes(std::int64_t bytes);

/// "a, b, c".
std::string joined(const std::vector<std::string>& texts);

} // namespace errata::cli
