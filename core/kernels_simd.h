#pragma once

#include "core/kernels.h"

#include <bit>
#include <cstdint>

/// What the kernels' loops are made of. The loops are plain, for the compiler to vectorise; a
/// function marked ERRATA_CLONES is compiled for several instruction sets and picked at load time.
/// Everything it calls must be ERRATA_INLINE to be compiled with it. The sanitizers' builds have no
/// clones: the picking would run before their memory is mapped.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define ERRATA_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ERRATA_CLONES
#endif
#define ERRATA_INLINE __attribute__((always_inline)) inline

namespace errata::kernels {

ERRATA_INLINE float widen(float x) {
  return x;
}

ERRATA_INLINE float widen(Bfloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

ERRATA_INLINE void store(float& to, float x) {
  to = x;
}

// To the nearest, ties to even; a NaN stays one.
ERRATA_INLINE void store(Bfloat16& to, float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t nearest = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  to.bits = static_cast<std::uint16_t>(x == x ? nearest : 0x7fc0U);
}

template <typename T>
ERRATA_INLINE float rounded(float x) {
  T narrow;
  store(narrow, x);
  return widen(narrow);
}

/// exp(x) to about one unit in the last place for x within +-87; beyond, the value at that end. A
/// NaN stays one. x = k ln 2 + r with |r| <= ln 2 / 2, and a polynomial for exp(r) (the constants
/// of Cephes' expf).
ERRATA_INLINE float exp_clamped(float x) {
  constexpr float kEnd = 87.0F;
  x = x > kEnd ? kEnd : x;
  x = x < -kEnd ? -kEnd : x;
  const float scaled = x * 1.44269504088896341F;
  const auto k = static_cast<std::int32_t>(scaled + (scaled < 0 ? -0.5F : 0.5F));
  const auto whole = static_cast<float>(k);
  const float r = (x - whole * 0.693359375F) - whole * -2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  return p * std::bit_cast<float>((k + 127) << 23);
}

} // namespace errata::kernels
