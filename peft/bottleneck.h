#pragma once

#include "peft/adapter_types.h"

namespace errata::peft {

/// Bottleneck adapters of Houlsby (1902.00751), Pfeiffer (2005.00247) and He (2110.04366): errata's
/// BOTTLENECK (docs/formats/adapter.md). `u(z) = scaling * up(act(down(z)))` with biases, beside an
/// attention or MLP that adds f to the stream x:
/// parallel `f + u(x)`; Pfeiffer `f + u(x + f)`; Houlsby `f + u(f)`.
const AdapterType& bottleneck_type();

/// "pfeiffer", "houlsby" or "parallel".
BottleneckConfig bottleneck_preset(const std::string& name);

} // namespace errata::peft
