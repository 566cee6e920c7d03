#include "core/kernels.h"
#include "core/kernels_simd.h"

namespace errata::kernels {
namespace {

// Both activations are x times a sigmoid: of x itself, or of 2 u with u the argument of GELU's
// tanh, because (1 + tanh u) / 2 = sigmoid(2 u).
constexpr float kTwiceRoot = 1.5957691216057308F; // 2 sqrt(2 / pi)
constexpr float kCube = 0.044715F;

template <Gate kind>
ERRATA_INLINE float argument(float x) {
  return kind == Gate::kSilu ? x : kTwiceRoot * (x + kCube * x * x * x);
}

template <Gate kind>
ERRATA_INLINE float argument_slope(float x) {
  return kind == Gate::kSilu ? 1.0F : kTwiceRoot * (1.0F + 3.0F * kCube * x * x);
}

ERRATA_INLINE float sigmoid(float x) {
  return 1.0F / (1.0F + exp_clamped(-x));
}

template <Gate kind, typename T>
ERRATA_INLINE void forward_numbers(std::int64_t n, const T* gate, const T* up, T* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float x = widen(gate[i]);
    store(y[i], x * sigmoid(argument<kind>(x)) * widen(up[i]));
  }
}

template <Gate kind, typename T>
ERRATA_INLINE void backward_numbers(
    std::int64_t n, const T* grad, const T* gate, const T* up, T* grad_gate, T* grad_up) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float x = widen(gate[i]);
    const float g = widen(grad[i]);
    const float s = sigmoid(argument<kind>(x));
    const float slope = s + x * s * (1.0F - s) * argument_slope<kind>(x);
    store(grad_gate[i], g * widen(up[i]) * slope);
    store(grad_up[i], g * x * s);
  }
}

template <typename T>
ERRATA_INLINE void forward_of(Gate kind, std::int64_t n, const T* gate, const T* up, T* y) {
  if (kind == Gate::kSilu) {
    forward_numbers<Gate::kSilu>(n, gate, up, y);
  } else {
    forward_numbers<Gate::kGeluTanh>(n, gate, up, y);
  }
}

template <typename T>
ERRATA_INLINE void backward_of(
    Gate kind,
    std::int64_t n,
    const T* grad,
    const T* gate,
    const T* up,
    T* grad_gate,
    T* grad_up) {
  if (kind == Gate::kSilu) {
    backward_numbers<Gate::kSilu>(n, grad, gate, up, grad_gate, grad_up);
  } else {
    backward_numbers<Gate::kGeluTanh>(n, grad, gate, up, grad_gate, grad_up);
  }
}

} // namespace

ERRATA_CLONES void gate_forward(
    Gate kind, std::int64_t n, const float* gate, const float* up, float* y) {
  forward_of(kind, n, gate, up, y);
}

ERRATA_CLONES void gate_forward(
    Gate kind, std::int64_t n, const Bfloat16* gate, const Bfloat16* up, Bfloat16* y) {
  forward_of(kind, n, gate, up, y);
}

ERRATA_CLONES void gate_backward(
    Gate kind,
    std::int64_t n,
    const float* grad,
    const float* gate,
    const float* up,
    float* grad_gate,
    float* grad_up) {
  backward_of(kind, n, grad, gate, up, grad_gate, grad_up);
}

ERRATA_CLONES void gate_backward(
    Gate kind,
    std::int64_t n,
    const Bfloat16* grad,
    const Bfloat16* gate,
    const Bfloat16* up,
    Bfloat16* grad_gate,
    Bfloat16* grad_up) {
  backward_of(kind, n, grad, gate, up, grad_gate, grad_up);
}

} // namespace errata::kernels
