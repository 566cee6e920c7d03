#pragma once

#include <cstdint>

namespace errata {

/// Largest resident set of this process so far, in bytes.
std::uint64_t peak_rss_bytes();

} // namespace errata
