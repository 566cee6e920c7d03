#pragma once

#include <string_view>

// Texts by which peers tell something, where their files are read and where they are written.

namespace errata::datasets {

/// EasyEdit puts it where no true answer is given.
inline constexpr std::string_view kNoTruth = "<|endoftext|>";

/// A locality text of zsRE begins with it; MEMIT and EasyEdit refuse any other.
inline constexpr std::string_view kLocalityMark = "nq question: ";

} // namespace errata::datasets
