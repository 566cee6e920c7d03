#pragma once

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace errata::eval {

/// `text` safe inside an HTML element or a quoted attribute.
std::string escape_html(std::string_view text);

/// JSON that may stand inside a <script> element: no `<` is left in it.
std::string script_json(const nlohmann::ordered_json& value);

/// One self-contained page (no network, no other file) from results.json, the lines of
/// samples.jsonl and run.json (null when there is none).
std::string report_html(
    const nlohmann::ordered_json& results,
    const std::vector<nlohmann::ordered_json>& samples,
    const nlohmann::ordered_json& run);

/// Writes `directory`/report.html from results.json, samples.jsonl and, where present, run.json.
/// Throws `kNotFound` without the first two.
void write_report(const std::filesystem::path& directory);

} // namespace errata::eval
