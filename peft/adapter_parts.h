#pragma once

#include "peft/attachment.h"

#include <string>
#include <vector>

// For adapters that consist of parts, each with the path of its `module` and an `attachment` that
// names its tensors below it.

namespace errata::peft {

template <typename Part>
NamedTensors tensors_of_parts(const std::vector<Part>& parts) {
  NamedTensors all;
  for (const Part& part : parts) {
    for (const auto& [name, tensor] : part.attachment->named_tensors()) {
      all.emplace_back(part.module + "." + name, tensor);
    }
  }
  return all;
}

/// Each once; the parts of one module stand together.
template <typename Part>
std::vector<std::string> modules_of_parts(const std::vector<Part>& parts) {
  std::vector<std::string> names;
  names.reserve(parts.size());
  for (const Part& part : parts) {
    if (names.empty() || names.back() != part.module) {
      names.push_back(part.module);
    }
  }
  return names;
}

} // namespace errata::peft
