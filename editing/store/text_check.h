#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace errata::editing {

/// Throws `kInvalidArgument` that names `what` and the byte unless `text` is UTF-8 without NUL.
void require_text(std::string_view text, std::string_view what);

/// As `require_text`, and not empty.
void require_name(std::string_view text, std::string_view what);

void require_names(const std::vector<std::string>& texts, std::string_view what);

/// The parts with commas between them, each cut to 60 bytes at the border of a character.
std::string brief(std::initializer_list<std::string_view> parts);

} // namespace errata::editing
