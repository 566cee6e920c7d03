#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace errata::eval {

// Sections of the report, each a piece of HTML (or the JSON of the charts).

/// The figures that matter most, as cards.
std::string report_cards(const nlohmann::ordered_json& results);

/// Every figure with interval and significance, grouped by suite, and a warning where rows come
/// from protocols that must not be compared.
std::string report_table(const nlohmann::ordered_json& results);

/// What the script draws: id -> labels and series.
nlohmann::ordered_json report_charts(const nlohmann::ordered_json& results);

/// A canvas for each chart.
std::string report_canvases(const nlohmann::ordered_json& charts);

/// Questions whose verdict is `verdict` ("gained", "lost", "wrong") with full outputs; the first
/// `limit` in order of interest.
std::string report_examples(
    const std::vector<nlohmann::ordered_json>& samples,
    const std::string& verdict,
    const std::string& title,
    std::size_t limit);

/// A table of an object's fields; nested ones as "a.b".
std::string report_facts(const nlohmann::ordered_json& facts);

} // namespace errata::eval
