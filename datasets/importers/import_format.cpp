#include "datasets/importers/import_format.h"

#include "core/base/did_you_mean.h"
#include "core/base/error.h"
#include "datasets/importers/import_readers.h"

#include <algorithm>
#include <array>

namespace errata::datasets {
namespace {

constexpr std::array<ImportFormat, 18> kFormats = {{
    {"factbook",
     "the bundled dated country facts, or a directory like it",
     "directory",
     import_factbook},
    {"facts", "facts of one's own", "JSON lines", import_facts},
    {"relations", "descriptions of relations", "JSON object", import_relations},
    {"multihop", "multi-hop cases of one's own", "JSON lines", import_multi_hop},
    {"edits", "edits of one's own, given by their prompts", "JSON lines", import_edits},
    {"mquake", "edits and multi-hop cases of MQuAKE (CF, CF-3k, T)", "JSON list", import_mquake},
    {"counterfact",
     "edits of CounterFact, schema of ROME and MEMIT or of EasyEdit",
     "JSON list",
     import_counterfact},
    {"zsre",
     "edits of zsRE (MEND split); --zsre-target chooses the target",
     "JSON list",
     import_zsre},
    {"knowedit",
     "edits of KnowEdit with portability and locality probes",
     "JSON list",
     import_knowedit},
    {"rippleedits", "edits of RippleEdits with its six criteria", "JSON list", import_ripple_edits},
    {"wikibigedit", "edits of WikiBigEdit", "JSON list", import_wikibigedit},
    {"locft",
     "edits as LocFT reads them (CounterFact, zsRE, WikiBigEdit, flat)",
     "JSON list",
     import_locft},
    {"easyedit", "an edit list of EasyEdit", "JSON object of parallel lists", import_easyedit},
    {"fastedit", "edits of FastEdit", "JSON list", import_fastedit},
    {"dyknow", "dated facts of DyKnow", "JSON object", import_dyknow},
    {"yago11k",
     "dated facts of YAGO11k and of other quadruple files",
     "tab-separated",
     import_yago11k},
    {"congress",
     "terms of office from the congress-legislators files",
     "YAML list",
     import_congress},
    {"table", "a table of one's own (CSV, TSV, JSON lines); needs --mapping", "rows", import_table},
}};

} // namespace

std::span<const ImportFormat> import_formats() noexcept {
  return kFormats;
}

std::vector<std::string> import_format_names() {
  std::vector<std::string> names;
  for (const ImportFormat& format : kFormats) {
    names.emplace_back(format.name);
  }
  return names;
}

const ImportFormat& import_format(std::string_view name) {
  const auto found =
      std::find_if(kFormats.begin(), kFormats.end(), [&](const ImportFormat& format) {
        return format.name == name;
      });
  ERRATA_CHECK(
      found != kFormats.end(),
      ErrorCode::kInvalidArgument,
      "no import format '",
      name,
      "'",
      did_you_mean(name, import_format_names(), "; 'errata store import --help' lists them"));
  return *found;
}

} // namespace errata::datasets
