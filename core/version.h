#pragma once

#include <string>

namespace errata {

/// What this program was built from.
struct BuildInfo {
  std::string version;    ///< "0.1.0"
  std::string commit;     ///< abbreviated; "+changes" when files differed from it, or "unknown"
  std::string libtorch;   ///< "2.13.0"
  std::string build_type; ///< "Release"
};

const BuildInfo& build_info();

/// For --version: "errata 0.1.0 (commit ..., LibTorch ..., Release)".
std::string version_text();

} // namespace errata
