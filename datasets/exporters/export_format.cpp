#include "datasets/exporters/export_format.h"

#include "core/base/did_you_mean.h"
#include "core/base/error.h"
#include "datasets/exporters/export_writers.h"

#include <algorithm>
#include <array>

namespace errata::datasets {
namespace {

constexpr std::size_t kFirstKept = 20;

constexpr std::array<ExportFormat, 6> kFormats = {{
    {"mquake", "MQuAKE's own notebook, MeLLo, EasyEdit", export_mquake},
    {"counterfact", "ROME, MEMIT, AlphaEdit", export_counterfact},
    {"counterfact-flat", "EasyEdit, LocFT", export_counterfact_flat},
    {"zsre", "MEMIT, AlphaEdit, EasyEdit, LocFT; --zsre-target chooses the target", export_zsre},
    {"easyedit", "EasyEdit's edit() (an object of parallel lists)", export_easyedit},
    {"knowedit", "EasyEdit's KnowEdit scripts", export_knowedit},
}};

} // namespace

void ExportReport::leave_out(const std::string& id, std::string_view reason) {
  ++left_out;
  if (first_left_out.size() < kFirstKept) {
    first_left_out.push_back(concat("'", id, "': ", reason));
  }
}

std::span<const ExportFormat> export_formats() noexcept {
  return kFormats;
}

std::vector<std::string> export_format_names() {
  std::vector<std::string> names;
  for (const ExportFormat& format : kFormats) {
    names.emplace_back(format.name);
  }
  return names;
}

const ExportFormat& export_format(std::string_view name) {
  const auto found =
      std::find_if(kFormats.begin(), kFormats.end(), [&](const ExportFormat& format) {
        return format.name == name;
      });
  ERRATA_CHECK(
      found != kFormats.end(),
      ErrorCode::kInvalidArgument,
      "no export format '",
      name,
      "'",
      did_you_mean(name, export_format_names(), "; 'errata store export --help' lists them"));
  return *found;
}

} // namespace errata::datasets
