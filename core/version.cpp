#include "core/version.h"

#include <build_info.h> // written by cmake/write_build_info.cmake

namespace errata {

const BuildInfo& build_info() {
  static const BuildInfo info{
      ERRATA_VERSION, ERRATA_COMMIT, ERRATA_LIBTORCH_VERSION, ERRATA_BUILD_TYPE};
  return info;
}

std::string version_text() {
  const BuildInfo& info = build_info();
  return "errata " + info.version + " (commit " + info.commit + ", LibTorch " + info.libtorch +
         ", " + info.build_type + ")";
}

} // namespace errata
