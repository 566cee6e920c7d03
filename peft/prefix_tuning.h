#pragma once

#include "peft/adapter_types.h"

namespace errata::peft {

/// Prefix tuning (2101.00190): PEFT's PREFIX_TUNING. Keys (used as they are, without a rotation)
/// and values in front of those of every layer; token positions begin after them. On a layer with a
/// window the prefix leaves it like any other position, as in PEFT. It starts as the keys and
/// values of real tokens (section 4.3 of the paper), so that the model computes as if they were in
/// front. Recurrent layers have no place for it (`kUnsupported`).
const AdapterType& prefix_tuning_type();

} // namespace errata::peft
