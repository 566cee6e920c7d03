#pragma once

#include "core/base/date.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace errata {
class JsonFields;
} // namespace errata

// What the readers of this folder share on top of JsonFields.

namespace errata::datasets {

/// Nothing but white space.
bool is_blank(std::string_view text) noexcept;

/// A string that is neither missing nor empty.
std::string text_field(const JsonFields& fields, std::string_view name);

/// A string, empty when missing or null.
std::string optional_text_field(const JsonFields& fields, std::string_view name);

/// A list of non-empty strings, empty when missing or null.
std::vector<std::string> list_field(const JsonFields& fields, std::string_view name);

/// A date, or nothing when missing or null.
std::optional<Date> date_field(const JsonFields& fields, std::string_view name);

/// Calls `visit` with the fields of each line's object; `where()` is `file:line`.
void read_field_lines(
    const std::filesystem::path& path,
    const std::function<void(const JsonFields& fields, std::int64_t line)>& visit);

/// Takes note of an id; one seen before is `kCorrupt`.
void require_new_id(
    std::set<std::string>& seen,
    const std::filesystem::path& path,
    std::int64_t line,
    const std::string& id);

} // namespace errata::datasets
