#include "peft/export_target.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "peft/adapter_config.h"
#include "peft/gguf_adapter.h"

#include <algorithm>
#include <array>
#include <string>

namespace errata::peft {
namespace {

namespace fs = std::filesystem;

// Weights are not among them, nor is anything that a user may have put beside the model.
constexpr std::array kModelFiles = {
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json"};

// True when `inner` is `outer` or below it.
bool contains(const fs::path& outer, const fs::path& inner) {
  const auto [end, unused] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  return end == outer.end();
}

fs::path resolved(const fs::path& path) {
  const fs::path full = fs::weakly_canonical(path);
  return full.has_filename() ? full : full.parent_path();
}

void check_inputs_apart(const fs::path& out, const std::vector<fs::path>& inputs) {
  for (const fs::path& input : inputs) {
    ERRATA_CHECK(
        !contains(resolved(out), resolved(input)),
        ErrorCode::kInvalidArgument,
        "output ",
        out.string(),
        " holds the input ",
        input.string(),
        "; choose another --out");
  }
}

// What an export leaves: errata.json beside merged weights, an adapter's config, or one GGUF file.
bool holds_export(const fs::path& out) {
  if (fs::exists(out / "errata.json") || fs::exists(out / kConfigFile)) {
    return true;
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(out)) {
    files.push_back(entry.path());
  }
  return files.size() == 1 && is_gguf_adapter(files.front());
}

} // namespace

void check_export_file(const fs::path& out, const std::vector<fs::path>& inputs, bool force) {
  check_inputs_apart(out, inputs);
  if (!fs::exists(out)) {
    return;
  }
  require_file(out, "output file");
  ERRATA_CHECK(
      force,
      ErrorCode::kInvalidArgument,
      "output file ",
      out.string(),
      " exists; choose another --out, or --force to replace an earlier export");
  ERRATA_CHECK(
      is_gguf_adapter(out),
      ErrorCode::kInvalidArgument,
      "output file ",
      out.string(),
      " is no GGUF adapter, so --force does not replace it; choose another --out");
}

void check_export_target(const fs::path& out, const std::vector<fs::path>& inputs, bool force) {
  ERRATA_CHECK(!out.empty(), ErrorCode::kInvalidArgument, "no output directory is given");
  check_inputs_apart(out, inputs);
  if (!fs::exists(out)) {
    return;
  }
  require_directory(out, "output directory");
  if (fs::is_empty(out)) {
    return;
  }
  ERRATA_CHECK(
      force,
      ErrorCode::kInvalidArgument,
      "output directory ",
      out.string(),
      " is not empty; choose another --out, or --force to replace an earlier export");
  ERRATA_CHECK(
      holds_export(out),
      ErrorCode::kInvalidArgument,
      "output directory ",
      out.string(),
      " does not hold an earlier export, so --force does not replace it; choose another --out");
}

void copy_model_files(const fs::path& from, const fs::path& to) {
  for (const auto& entry : fs::directory_iterator(from)) {
    const std::string name = entry.path().filename().string();
    const bool wanted =
        name.starts_with("tokenizer") ||
        std::find(kModelFiles.begin(), kModelFiles.end(), name) != kModelFiles.end();
    if (wanted && entry.is_regular_file()) {
      write_file(to / name, read_file(entry.path()));
    }
  }
}

} // namespace errata::peft
