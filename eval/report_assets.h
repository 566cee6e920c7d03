#pragma once

#include <string_view>

namespace errata::eval {

// Files that are built into the program, so that a report is one file that opens offline.

extern const std::string_view kChartJs;   ///< Chart.js (MIT), as installed at build time
extern const std::string_view kReportCss; ///< eval/report_assets/report.css
extern const std::string_view kReportJs;  ///< eval/report_assets/report.js

} // namespace errata::eval
