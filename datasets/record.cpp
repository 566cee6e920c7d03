#include "datasets/record.h"

namespace errata::datasets {

std::string_view to_string(EditKind kind) noexcept {
  switch (kind) {
    case EditKind::kModification:
      return "modification";
    case EditKind::kInjection:
      return "injection";
    case EditKind::kRemoval:
      return "removal";
  }
  return "unknown";
}

} // namespace errata::datasets
