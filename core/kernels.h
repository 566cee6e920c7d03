#pragma once

#include <cstdint>

/// One-pass CPU kernels on rows that lie end to end, for float and bfloat16 (`T`). They compute in
/// float and round once, at the store. Each works on the rows it is given; callers split rows over
/// threads. No row depends on how rows are split, so results are the same bytes for any number of
/// threads, except where a function says otherwise.
namespace errata::kernels {

/// The bits of a bfloat16.
struct Bfloat16 {
  std::uint16_t bits;
};

/// y = x r f, r = 1 / sqrt(mean(x^2) + eps) of each row, kept in `inverse` [rows] unless null. With
/// `rounds_first`, `x r` is rounded to T before it is multiplied. `x`, `y` [rows, n], `factor` [n].
struct NormForward {
  std::int64_t n;
  float eps;
  bool rounds_first;
  const float* factor;
};
void norm_forward(
    const NormForward& norm, std::int64_t rows, const float* x, float* y, float* inverse);
void norm_forward(
    const NormForward& norm, std::int64_t rows, const Bfloat16* x, Bfloat16* y, float* inverse);

/// grad_x = r (g f - x_hat mean(g f x_hat)), x_hat = x r. `grad_factor` [n], unless null, has
/// g x_hat of the rows added; its sum is in the order of the rows given.
struct NormBackward {
  std::int64_t n;
  const float* factor;
};
void norm_backward(
    const NormBackward& norm,
    std::int64_t rows,
    const float* grad,
    const float* x,
    const float* inverse,
    float* grad_x,
    float* grad_factor);
void norm_backward(
    const NormBackward& norm,
    std::int64_t rows,
    const Bfloat16* grad,
    const Bfloat16* x,
    const float* inverse,
    Bfloat16* grad_x,
    float* grad_factor);

/// Rotates each head's halves by the row's angles, or by the opposite ones: `x`, `y` [rows, heads,
/// 2 half], `cos`, `sin` [rows, half].
struct Rotation {
  std::int64_t heads;
  std::int64_t half;
  bool opposite;
};
void rotate(
    const Rotation& rotation,
    std::int64_t rows,
    const float* x,
    const float* cos,
    const float* sin,
    float* y);
void rotate(
    const Rotation& rotation,
    std::int64_t rows,
    const Bfloat16* x,
    const Bfloat16* cos,
    const Bfloat16* sin,
    Bfloat16* y);

enum class Gate { kSilu, kGeluTanh };

/// y = act(gate) up, `n` numbers each.
void gate_forward(Gate kind, std::int64_t n, const float* gate, const float* up, float* y);
void gate_forward(Gate kind, std::int64_t n, const Bfloat16* gate, const Bfloat16* up, Bfloat16* y);

/// grad_gate = grad up act'(gate) and grad_up = grad act(gate).
void gate_backward(
    Gate kind,
    std::int64_t n,
    const float* grad,
    const float* gate,
    const float* up,
    float* grad_gate,
    float* grad_up);
void gate_backward(
    Gate kind,
    std::int64_t n,
    const Bfloat16* grad,
    const Bfloat16* gate,
    const Bfloat16* up,
    Bfloat16* grad_gate,
    Bfloat16* grad_up);

/// Cross-entropy of each row's label and its gradient: `losses` [rows] get -log softmax(x)[id], and
/// `logits` [rows, n] become weight (softmax(x) - one_hot(id)). `ids` must be below n; `scratch`
/// has room for n numbers.
struct Labels {
  std::int64_t n;
  const std::int64_t* ids;
  const float* weights;
};
void label_gradient(
    const Labels& labels, std::int64_t rows, float* logits, float* losses, float* scratch);
void label_gradient(
    const Labels& labels, std::int64_t rows, Bfloat16* logits, float* losses, float* scratch);

/// Causal attention of one sequence: `k`, `v` [length, kv_heads, head_dim], `q`, `out`
/// [length - before, heads, head_dim] of its last tokens; query head h reads KV head
/// h kv_heads / heads. A query sees itself and what is before it, `window` keys at most (0: all).
/// With `softcap` a score s becomes softcap tanh(s / softcap) (0: it stays).
struct Attention {
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t head_dim;
  std::int64_t window;
  float scale;
  float softcap;
};

struct SequenceLength {
  std::int64_t length;
  std::int64_t before; ///< keys that stand before the first query
};

/// Floats of scratch memory for a sequence of `length`.
std::int64_t attention_scratch(const Attention& shape, std::int64_t length);

/// `log_sums` [length - before, heads], unless null, gets the logarithm of each softmax's sum.
void attention_forward(
    const Attention& shape,
    SequenceLength length,
    const float* q,
    const float* k,
    const float* v,
    float* out,
    float* log_sums,
    float* scratch);
void attention_forward(
    const Attention& shape,
    SequenceLength length,
    const Bfloat16* q,
    const Bfloat16* k,
    const Bfloat16* v,
    Bfloat16* out,
    float* log_sums,
    float* scratch);

/// `grad` is the gradient of `out`.
template <typename T>
struct AttentionInputs {
  const T* q;
  const T* k;
  const T* v;
  const T* grad;
  const float* log_sums;
};

template <typename T>
struct AttentionGradients {
  T* q;
  T* k;
  T* v;
};

/// Computes the probabilities again from the inputs and the forward pass's `log_sums`.
void attention_backward(
    const Attention& shape,
    SequenceLength length,
    const AttentionInputs<float>& in,
    const AttentionGradients<float>& to,
    float* scratch);
void attention_backward(
    const Attention& shape,
    SequenceLength length,
    const AttentionInputs<Bfloat16>& in,
    const AttentionGradients<Bfloat16>& to,
    float* scratch);

/// Attention of the last `steps` tokens of one sequence over a cache, without a window: `q`, `out`
/// [steps, heads, head_dim], `keys`, `values` [kv_heads, slots, head_dim], of which query i sees
/// the first before + i + 1. Their own keys and values are there already.
void attention_cached(
    const Attention& shape,
    std::int64_t steps,
    std::int64_t before,
    std::int64_t slots,
    const float* q,
    const float* keys,
    const float* values,
    float* out,
    float* scratch);
void attention_cached(
    const Attention& shape,
    std::int64_t steps,
    std::int64_t before,
    std::int64_t slots,
    const Bfloat16* q,
    const Bfloat16* keys,
    const Bfloat16* values,
    Bfloat16* out,
    float* scratch);
/// Floats of scratch memory for a sequence of up to `longest` tokens.
std::int64_t attention_cached_scratch(const Attention& shape, std::int64_t longest);

/// Adds row i of `x` [count, n] to row rows[i] of `sums` [.., n].
void add_rows(
    std::int64_t n, std::int64_t count, const std::int64_t* rows, const float* x, float* sums);
void add_rows(
    std::int64_t n, std::int64_t count, const std::int64_t* rows, const Bfloat16* x, float* sums);

/// The place of each row's largest number, of equal ones the first; the first NaN where there is
/// one. `x` [rows, n].
void largest(std::int64_t n, std::int64_t rows, const float* x, std::int64_t* places);
void largest(std::int64_t n, std::int64_t rows, const Bfloat16* x, std::int64_t* places);

} // namespace errata::kernels
