#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace errata {

/// The end of a message about an unknown `name`: "; did you mean 'x'?" with the entry of `known`
/// that is nearest to it, or `otherwise` when none is near.
std::string did_you_mean(
    std::string_view name, const std::vector<std::string>& known, std::string_view otherwise = "");

} // namespace errata
