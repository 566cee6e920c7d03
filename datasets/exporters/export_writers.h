#pragma once

#include "datasets/exporters/export_format.h"

// One writer a format, each in its own file.

namespace errata::datasets {

using ExportWriter = void(
    const PeerData& data,
    const ExportOptions& options,
    const std::filesystem::path& path,
    ExportReport& report);

ExportWriter export_mquake;
ExportWriter export_counterfact;
ExportWriter export_counterfact_flat;
ExportWriter export_zsre;
ExportWriter export_easyedit;
ExportWriter export_knowedit;

} // namespace errata::datasets
