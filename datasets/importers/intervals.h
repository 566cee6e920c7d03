#pragma once

#include "core/base/date.h"

#include <optional>
#include <string>

namespace errata::datasets {

/// The first period after the one that `date` names: 2004 -> 2005, 2004-12 -> 2005-01. Nothing
/// after the year 9999.
std::optional<Date> period_after(const Date& date);

/// The end of [from, to) for a source that names the first and the last period in which something
/// was so. `last` is the end itself, as what comes next usually begins then; where that would leave
/// no day, because it is the period of the beginning too, the end is the period after it.
/// `kCorrupt`, naming `where`, when `last` lies before `first`.
std::optional<Date> end_of_interval(
    const std::optional<Date>& first, const std::optional<Date>& last, const std::string& where);

} // namespace errata::datasets
