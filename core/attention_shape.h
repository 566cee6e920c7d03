#pragma once

#include <cstdint>

namespace errata {

struct AttentionShape {
  std::int64_t heads = 0;    ///< query heads; a multiple of kv_heads
  std::int64_t kv_heads = 0; ///< KV head g serves query heads [g * heads / kv_heads, ...)
  std::int64_t head_dim = 0;
  double scale = 1.0;      ///< factor of the scores
  std::int64_t window = 0; ///< keys a query sees, itself included; 0 for all
  double softcap = 0;      ///< scores s become softcap tanh(s / softcap) before the mask; 0: not
};

} // namespace errata
