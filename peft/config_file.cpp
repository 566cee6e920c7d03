#include "peft/config_file.h"

#include <algorithm>
#include <cmath>

namespace errata::peft {

void read_names(
    const JsonFields& fields,
    const char* name,
    std::vector<std::string>& list,
    std::optional<std::string>& text) {
  if (fields.is_null(name)) {
    return;
  }
  const Json& value = *fields.find(name);
  if (value.is_string()) {
    text = value.get<std::string>();
    return;
  }
  const auto is_string = [](const Json& entry) { return entry.is_string(); };
  ERRATA_CHECK(
      value.is_array() && std::all_of(value.begin(), value.end(), is_string),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' is not a string or a list of strings");
  list = value.get<std::vector<std::string>>();
}

OrderedJson names_json(
    const std::vector<std::string>& list, const std::optional<std::string>& text) {
  return text ? OrderedJson(*text) : OrderedJson(list);
}

OrderedJson plain_number(double value) {
  const bool whole = std::nearbyint(value) == value && std::abs(value) < 1e15;
  return whole ? OrderedJson(static_cast<std::int64_t>(value)) : OrderedJson(value);
}

void check_field(const char* name, double value, double low, double high) {
  ERRATA_CHECK(
      std::isfinite(value) && value >= low && value <= high,
      ErrorCode::kInvalidArgument,
      name,
      " is ",
      value,
      "; expected ",
      low,
      " to ",
      high);
}

void check_dropout(const char* name, double value) {
  ERRATA_CHECK(
      value >= 0 && value < 1,
      ErrorCode::kInvalidArgument,
      name,
      " is ",
      value,
      "; expected 0 <= dropout < 1");
}

} // namespace errata::peft
