#pragma once

#include "datasets/record.h"

#include <optional>
#include <string>

namespace errata::editing {

/// "2022", "2022-03" or "2022-03-05"; an empty text is no date.
inline std::optional<Date> date(const char* text) {
  return *text == '\0' ? std::nullopt : std::optional(parse_date(text));
}

inline datasets::Fact fact(
    const std::string& subject,
    const std::string& relation,
    const std::string& object,
    const char* from = "",
    const char* to = "") {
  datasets::Fact fact;
  fact.subject = subject;
  fact.relation = relation;
  fact.object = object;
  fact.valid_from = date(from);
  fact.valid_to = date(to);
  return fact;
}

} // namespace errata::editing
