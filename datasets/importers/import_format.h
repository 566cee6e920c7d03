#pragma once

#include "datasets/importers/import_sink.h"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace errata::datasets {

struct ImportOptions {
  /// The file; for `factbook` its directory, empty for the bundled one.
  std::filesystem::path path;
  /// `facts`: the relations' descriptions. `yago11k`: names of the relations, when they are not
  /// beside the file.
  std::filesystem::path relations;
  /// `yago11k`: names of the entities, when they are not beside the file.
  std::filesystem::path entities;
  /// `table`: what its columns mean.
  std::filesystem::path mapping;
  /// `zsre`: `alt` (a counterfactual, as EasyEdit) or `answers` (a true answer, as ROME and MEMIT).
  std::string zsre_target = "alt";
};

/// One kind of file (docs/formats/datasets.md).
struct ImportFormat {
  std::string_view name;
  std::string_view holds;     ///< for people: "cases and edits of MQuAKE"
  std::string_view documents; ///< what the file is like: "list of records"
  /// Reads the whole file. Damage of the file as such is `kCorrupt`; what is wrong with one record
  /// goes to the sink, but for errata's own formats, where it is an error too.
  void (*read)(const ImportOptions& options, ImportSink& sink);
};

/// All formats, in the order in which they are listed.
std::span<const ImportFormat> import_formats() noexcept;

std::vector<std::string> import_format_names();

/// Throws `kInvalidArgument` that names the nearest for an unknown one.
const ImportFormat& import_format(std::string_view name);

} // namespace errata::datasets
