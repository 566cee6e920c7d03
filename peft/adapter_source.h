#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace errata::peft {

/// The forms in which `load_adapter` takes an adapter.
enum class AdapterKind {
  kDirectory, ///< PEFT's, or errata's own
  kMlx,       ///< mlx-lm's directory
  kHub,       ///< adapter-hub's directory of a bottleneck adapter
  kGguf,      ///< llama.cpp's file, or a directory with nothing but one
};

struct AdapterSource {
  AdapterKind kind = AdapterKind::kDirectory;
  std::filesystem::path config;  ///< adapter_config.json; empty for GGUF
  std::filesystem::path tensors; ///< the file with the values

  /// The files that decide what the adapter computes: what to hash.
  std::vector<std::filesystem::path> files() const;
};

/// Tells the kind by what is there, without a promise that it is whole: a path that is nothing
/// known is taken for a directory, and loading says what is missing. A file that is no GGUF is
/// `kCorrupt`, a choice between several `kInvalidArgument`.
AdapterSource find_adapter(const std::filesystem::path& path);

/// What errata wrote about an adapter's origin: the `errata.*` entries of its file.
std::map<std::string, std::string> adapter_metadata(const AdapterSource& source);

} // namespace errata::peft
