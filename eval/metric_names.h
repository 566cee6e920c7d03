#pragma once

#include <nlohmann/json_fwd.hpp>

#include <span>
#include <string>
#include <string_view>

namespace errata::eval {

/// How a metric is called where people read it.
struct MetricName {
  std::string_view path; ///< "multihop.changed.cot"
  std::string_view name; ///< "changed, in steps"
  bool brief = false;    ///< among the figures that a terminal shows
};

/// In the order in which they are shown.
std::span<const MetricName> metric_names() noexcept;

/// The name of `path`, or `path` itself.
std::string metric_name(std::string_view path);

/// The value at "a.b.c" in `root`; null where a part is missing or the value is null.
const nlohmann::ordered_json* find_path(const nlohmann::ordered_json& root, std::string_view path);

} // namespace errata::eval
