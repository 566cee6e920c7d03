#include "core/base/did_you_mean.h"

#include "core/base/error.h"
#include "core/base/json.h"

namespace errata {

std::string did_you_mean(
    std::string_view name, const std::vector<std::string>& known, std::string_view otherwise) {
  const std::string near = nearest_name(name, known);
  return near.empty() ? std::string(otherwise) : concat("; did you mean '", near, "'?");
}

} // namespace errata
