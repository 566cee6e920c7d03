#pragma once

#include "core/base/error.h"
#include "core/base/json.h"
#include "peft/adapter_types.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace errata::peft {

/// A field that is a string (into `text`) or a list of strings (into `list`); null is neither.
void read_names(
    const JsonFields& fields,
    const char* name,
    std::vector<std::string>& list,
    std::optional<std::string>& text);

/// A list, or the expression in place of it.
OrderedJson names_json(
    const std::vector<std::string>& list, const std::optional<std::string>& text);

/// 16 rather than 16.0: PEFT's own way, and some readers want an integer.
OrderedJson plain_number(double value);

/// An object of module names and numbers, in the order of the file, which decides between two keys
/// that match.
template <typename Value>
void read_pattern(
    const ConfigFile& file, const char* name, std::vector<std::pair<std::string, Value>>& pattern) {
  const auto found = file.ordered.find(name);
  if (found == file.ordered.end() || found->is_null()) {
    return;
  }
  ERRATA_CHECK(
      found->is_object(),
      ErrorCode::kCorrupt,
      file.fields.where(),
      ": field '",
      name,
      "' is not an object of module names and numbers");
  for (const auto& [key, value] : found->items()) {
    ERRATA_CHECK(
        std::is_integral_v<Value> ? value.is_number_integer() : value.is_number(),
        ErrorCode::kCorrupt,
        file.fields.where(),
        ": field '",
        name,
        "', entry '",
        key,
        "' is not a number");
    pattern.emplace_back(key, value.template get<Value>());
  }
}

/// `name` is `value`, which must be in [low, high]: `kInvalidArgument`.
void check_field(const char* name, double value, double low, double high);
/// A share that may be 0 but not 1.
void check_dropout(const char* name, double value);

} // namespace errata::peft
