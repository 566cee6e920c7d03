#include "editing/anchor.h"

namespace errata::editing {

Anchor::Anchor(FlatParameters& parameters, double pull)
    : pull_(pull), base_(parameters.values().clone()) {}

void Anchor::after_update(FlatParameters& parameters, double lr_factor) {
  parameters.values().lerp_(base_, pull_ * lr_factor);
}

} // namespace errata::editing
