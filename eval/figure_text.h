#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace errata::eval {

/// A number by a printf form.
std::string number_text(double value, const char* form = "%.1f");

/// A figure of results.json in percent ("97.8"); "-" where there is none.
std::string percent_text(const nlohmann::ordered_json* figure);

/// Its 95 % interval in percent ("96.1 to 99.4"); nothing where there is none.
std::string interval_text(const nlohmann::ordered_json* figure, const char* form = "%.1f");

} // namespace errata::eval
