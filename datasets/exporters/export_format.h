#pragma once

#include "datasets/record.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Files that other editing programs read (docs/formats/datasets.md), made from edits and cases.

namespace errata::datasets {

/// How one fact is asked by itself.
struct HopWords {
  std::string question; ///< "What is the capital of Italy?"
  std::string cloze;    ///< "The capital of Italy is"
};

/// What the files are made from.
struct PeerData {
  std::vector<ExplicitEdit> edits;
  std::vector<MultiHopCase> cases;
  /// Other names of an entity.
  std::map<std::string, std::vector<std::string>> aliases;
  /// Texts are empty for a fact that cannot be put into words that way.
  std::function<HopWords(const Hop& hop)> words;
};

struct ExportOptions {
  /// `zsre`: what `answers` holds. `alt`: what was true before (EasyEdit edits towards `alt`);
  /// `answers`: the new target (ROME and MEMIT edit towards the first answer).
  std::string zsre_target = "alt";
};

/// What was written, and why the rest was not.
struct ExportReport {
  std::int64_t written = 0;
  std::int64_t left_out = 0;
  std::vector<std::string> first_left_out; ///< id and reason

  void leave_out(const std::string& id, std::string_view reason);
};

struct ExportFormat {
  std::string_view name;
  std::string_view readers; ///< programs that read it
  /// Writes the file, complete or not at all. `kInvalidArgument` when nothing can be written.
  void (*write)(
      const PeerData& data,
      const ExportOptions& options,
      const std::filesystem::path& path,
      ExportReport& report);
};

std::span<const ExportFormat> export_formats() noexcept;

std::vector<std::string> export_format_names();

/// Throws `kInvalidArgument` that names the nearest for an unknown one.
const ExportFormat& export_format(std::string_view name);

} // namespace errata::datasets
