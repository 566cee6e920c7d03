#include "core/kernels.h"
#include "core/kernels_product.h"
#include "core/kernels_simd.h"

#include <algorithm>
#include <cmath>

namespace errata::kernels {
namespace {

/// What one sequence needs. Matrices have a multiple of four rows; what is added to a matrix to
/// fill rows or lanes is zero.
struct Sizes {
  std::int64_t length;
  std::int64_t before;     ///< keys before the first query
  std::int64_t queries;    ///< length - before
  std::int64_t query_rows; ///< queries in whole tiles
  std::int64_t rows;       ///< length in whole tiles
  std::int64_t dim;        ///< head_dim
  std::int64_t wide;       ///< head_dim in whole lanes
  std::int64_t keys;       ///< length in whole lanes

  ERRATA_INLINE Sizes(const Attention& shape, SequenceLength n)
      : length(n.length),
        before(n.before),
        queries(n.length - n.before),
        query_rows(up_to(queries, kTileRows)),
        rows(up_to(n.length, kTileRows)),
        dim(shape.head_dim),
        wide(up_to(shape.head_dim, kLanes)),
        keys(up_to(n.length, kLanes)) {}

  /// Keys that some query of the tile from query i on sees.
  ERRATA_INLINE std::int64_t seen_by_tile(std::int64_t i) const {
    return std::min(length, before + i + kTileRows);
  }
};

/// Hands out the caller's scratch memory.
class Scratch {
 public:
  ERRATA_INLINE explicit Scratch(float* memory) : next_(memory) {}
  ERRATA_INLINE float* take(std::int64_t rows, std::int64_t columns) {
    float* const taken = next_;
    next_ += rows * columns;
    std::fill(taken, next_, 0.0F);
    return taken;
  }

 private:
  float* next_;
};

template <typename T>
ERRATA_INLINE void read_head(
    const Sizes& sizes,
    std::int64_t rows,
    const T* x,
    std::int64_t x_stride,
    float scale,
    float* to) {
  for (std::int64_t i = 0; i < rows; ++i) {
#pragma omp simd
    for (std::int64_t t = 0; t < sizes.dim; ++t) {
      to[i * sizes.wide + t] = widen(x[i * x_stride + t]) * scale;
    }
  }
}

template <typename T>
ERRATA_INLINE void write_head(
    const Sizes& sizes, std::int64_t rows, const float* from, T* x, std::int64_t x_stride) {
  for (std::int64_t i = 0; i < rows; ++i) {
#pragma omp simd
    for (std::int64_t t = 0; t < sizes.dim; ++t) {
      store(x[i * x_stride + t], from[i * sizes.wide + t]);
    }
  }
}

// [rows, wide] -> [wide, keys]
ERRATA_INLINE void transpose(const Sizes& sizes, const float* x, float* to) {
  for (std::int64_t t = 0; t < sizes.dim; ++t) {
    for (std::int64_t i = 0; i < sizes.length; ++i) {
      to[t * sizes.keys + i] = x[i * sizes.wide + t];
    }
  }
}

// to[i, j] = a_i . b_j for j <= before + i (and some beyond), with `b` transposed.
ERRATA_INLINE void causal_products(
    const Sizes& sizes, const float* a, const float* b_transposed, float* to) {
  for (std::int64_t i = 0; i < sizes.query_rows; i += kTileRows) {
    multiply_rows(
        {a + i * sizes.wide, sizes.wide, 1},
        b_transposed,
        sizes.keys,
        to + i * sizes.keys,
        sizes.keys,
        up_to(sizes.seen_by_tile(i), kLanes),
        0,
        sizes.dim,
        false);
  }
}

// to_i = sum over j <= before + i of a[i, j] b_j; `a` is zero for later j.
ERRATA_INLINE void causal_mix(const Sizes& sizes, const float* a, const float* b, float* to) {
  for (std::int64_t i = 0; i < sizes.query_rows; i += kTileRows) {
    multiply_rows(
        {a + i * sizes.keys, sizes.keys, 1},
        b,
        sizes.wide,
        to + i * sizes.wide,
        sizes.wide,
        sizes.wide,
        0,
        sizes.seen_by_tile(i),
        false);
  }
}

// to_j += sum over i >= j - before of a[i, j] b_i; `a` is zero for later j.
ERRATA_INLINE void add_transposed_mix(
    const Sizes& sizes, const float* a, const float* b, float* to) {
  for (std::int64_t j = 0; j < sizes.rows; j += kTileRows) {
    multiply_rows(
        {a + j, 1, sizes.keys},
        b,
        sizes.wide,
        to + j * sizes.wide,
        sizes.wide,
        sizes.wide,
        std::max<std::int64_t>(0, j - sizes.before),
        sizes.queries,
        true);
  }
}

/// Keys [first, end) that the query of token t sees.
struct Seen {
  std::int64_t first;
  std::int64_t end;

  ERRATA_INLINE Seen(const Attention& shape, std::int64_t t)
      : first(shape.window > 0 ? std::max<std::int64_t>(0, t - shape.window + 1) : 0), end(t + 1) {}
};

// Scores to capped ones; `slopes` gets the derivatives. tanh x = 1 - 2 / (1 + e^2x).
ERRATA_INLINE void cap_scores(float cap, std::int64_t n, float* scores, float* slopes) {
  const float doubled = 2.0F / cap;
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) {
    const float t = 1.0F - 2.0F / (1.0F + exp_clamped(scores[j] * doubled));
    scores[j] = cap * t;
    slopes[j] = 1.0F - t * t;
  }
}

// Scores to probabilities, row by row; `log_sums` gets the logarithm of what they were divided by.
ERRATA_INLINE void softmax(
    const Attention& shape, const Sizes& sizes, float* scores, float* slopes, float* log_sums) {
  for (std::int64_t i = 0; i < sizes.queries; ++i) {
    float* const row = scores + i * sizes.keys;
    if (shape.softcap > 0) {
      cap_scores(shape.softcap, sizes.keys, row, slopes);
    }
    const Seen seen(shape, sizes.before + i);
    float most = row[sizes.before + i];
#pragma omp simd reduction(max : most)
    for (std::int64_t j = seen.first; j < seen.end; ++j) {
      most = row[j] > most ? row[j] : most;
    }
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < sizes.keys; ++j) {
      const float e = exp_clamped(row[j] - most);
      row[j] = j >= seen.first && j < seen.end ? e : 0.0F;
      sum += row[j];
    }
    const float share = 1.0F / sum;
#pragma omp simd
    for (std::int64_t j = 0; j < sizes.keys; ++j) {
      row[j] *= share;
    }
    log_sums[i] = most + std::log(sum);
  }
}

// Scores to probabilities p, and their gradients to those of the scores: p (g - sum p g).
ERRATA_INLINE void softmax_backward(
    const Attention& shape,
    const Sizes& sizes,
    const float* log_sums,
    std::int64_t log_stride,
    float* scores,
    float* slopes,
    float* gradients) {
  for (std::int64_t i = 0; i < sizes.queries; ++i) {
    float* const row = scores + i * sizes.keys;
    if (shape.softcap > 0) {
      cap_scores(shape.softcap, sizes.keys, row, slopes);
    }
    float* const grad = gradients + i * sizes.keys;
    const Seen seen(shape, sizes.before + i);
    const float log_sum = log_sums[i * log_stride];
    float mean = 0;
#pragma omp simd reduction(+ : mean)
    for (std::int64_t j = 0; j < sizes.keys; ++j) {
      const float e = exp_clamped(row[j] - log_sum);
      row[j] = j >= seen.first && j < seen.end ? e : 0.0F;
      mean += row[j] * grad[j];
    }
#pragma omp simd
    for (std::int64_t j = 0; j < sizes.keys; ++j) {
      grad[j] = row[j] * (grad[j] - mean);
    }
    if (shape.softcap > 0) {
#pragma omp simd
      for (std::int64_t j = 0; j < sizes.keys; ++j) {
        grad[j] *= slopes[j];
      }
    }
  }
}

template <typename T>
ERRATA_INLINE void forward_sequence(
    const Attention& shape,
    SequenceLength length,
    const T* q,
    const T* k,
    const T* v,
    T* out,
    float* log_sums,
    float* memory) {
  const Sizes sizes(shape, length);
  const std::int64_t q_stride = shape.heads * shape.head_dim;
  const std::int64_t k_stride = shape.kv_heads * shape.head_dim;
  const std::int64_t share = shape.heads / shape.kv_heads;
  Scratch scratch(memory);
  float* const head = scratch.take(sizes.rows, sizes.wide);
  float* const value = scratch.take(sizes.rows, sizes.wide);
  float* const keys = scratch.take(sizes.wide, sizes.keys);
  float* const scores = scratch.take(sizes.query_rows, sizes.keys);
  float* const sums = scratch.take(sizes.query_rows, 1);
  float* const slopes = scratch.take(1, sizes.keys);
  for (std::int64_t g = 0; g < shape.kv_heads; ++g) {
    read_head(sizes, sizes.length, k + g * shape.head_dim, k_stride, 1.0F, head);
    transpose(sizes, head, keys);
    read_head(sizes, sizes.length, v + g * shape.head_dim, k_stride, 1.0F, value);
    for (std::int64_t h = g * share; h < (g + 1) * share; ++h) {
      read_head(sizes, sizes.queries, q + h * shape.head_dim, q_stride, shape.scale, head);
      causal_products(sizes, head, keys, scores);
      softmax(shape, sizes, scores, slopes, sums);
      causal_mix(sizes, scores, value, head);
      write_head(sizes, sizes.queries, head, out + h * shape.head_dim, q_stride);
      if (log_sums != nullptr) {
        for (std::int64_t i = 0; i < sizes.queries; ++i) {
          log_sums[i * shape.heads + h] = sums[i];
        }
      }
    }
  }
}

template <typename T>
ERRATA_INLINE void backward_sequence(
    const Attention& shape,
    SequenceLength length,
    const AttentionInputs<T>& in,
    const AttentionGradients<T>& to,
    float* memory) {
  const Sizes sizes(shape, length);
  const std::int64_t q_stride = shape.heads * shape.head_dim;
  const std::int64_t k_stride = shape.kv_heads * shape.head_dim;
  const std::int64_t share = shape.heads / shape.kv_heads;
  Scratch scratch(memory);
  float* const key = scratch.take(sizes.rows, sizes.wide);
  float* const query = scratch.take(sizes.query_rows, sizes.wide);
  float* const grad = scratch.take(sizes.query_rows, sizes.wide);
  float* const grad_query = scratch.take(sizes.query_rows, sizes.wide);
  float* const grad_key = scratch.take(sizes.rows, sizes.wide);
  float* const grad_value = scratch.take(sizes.rows, sizes.wide);
  float* const keys = scratch.take(sizes.wide, sizes.keys);
  float* const values = scratch.take(sizes.wide, sizes.keys);
  float* const scores = scratch.take(sizes.query_rows, sizes.keys);
  float* const changes = scratch.take(sizes.query_rows, sizes.keys);
  float* const slopes = scratch.take(1, sizes.keys);
  for (std::int64_t g = 0; g < shape.kv_heads; ++g) {
    read_head(sizes, sizes.length, in.v + g * shape.head_dim, k_stride, 1.0F, key);
    transpose(sizes, key, values);
    read_head(sizes, sizes.length, in.k + g * shape.head_dim, k_stride, 1.0F, key);
    transpose(sizes, key, keys);
    std::fill_n(grad_key, sizes.rows * sizes.wide, 0.0F);
    std::fill_n(grad_value, sizes.rows * sizes.wide, 0.0F);
    for (std::int64_t h = g * share; h < (g + 1) * share; ++h) {
      // The scale goes with the query, and so into the gradient of the key; the query's own is
      // multiplied by it at the end.
      read_head(sizes, sizes.queries, in.q + h * shape.head_dim, q_stride, shape.scale, query);
      read_head(sizes, sizes.queries, in.grad + h * shape.head_dim, q_stride, 1.0F, grad);
      causal_products(sizes, query, keys, scores);
      causal_products(sizes, grad, values, changes);
      softmax_backward(shape, sizes, in.log_sums + h, shape.heads, scores, slopes, changes);
      add_transposed_mix(sizes, scores, grad, grad_value);
      add_transposed_mix(sizes, changes, query, grad_key);
      causal_mix(sizes, changes, key, grad_query);
      for (std::int64_t i = 0; i < sizes.queries * sizes.wide; ++i) {
        grad_query[i] *= shape.scale;
      }
      write_head(sizes, sizes.queries, grad_query, to.q + h * shape.head_dim, q_stride);
    }
    write_head(sizes, sizes.length, grad_key, to.k + g * shape.head_dim, k_stride);
    write_head(sizes, sizes.length, grad_value, to.v + g * shape.head_dim, k_stride);
  }
}

} // namespace

std::int64_t attention_scratch(const Attention& shape, std::int64_t length) {
  const Sizes sizes(shape, {length, 0});
  return 6 * sizes.rows * sizes.wide + 2 * sizes.wide * sizes.keys +
         (2 * sizes.rows + 1) * sizes.keys;
}

ERRATA_CLONES void attention_forward(
    const Attention& shape,
    SequenceLength length,
    const float* q,
    const float* k,
    const float* v,
    float* out,
    float* log_sums,
    float* scratch) {
  forward_sequence(shape, length, q, k, v, out, log_sums, scratch);
}

ERRATA_CLONES void attention_forward(
    const Attention& shape,
    SequenceLength length,
    const Bfloat16* q,
    const Bfloat16* k,
    const Bfloat16* v,
    Bfloat16* out,
    float* log_sums,
    float* scratch) {
  forward_sequence(shape, length, q, k, v, out, log_sums, scratch);
}

ERRATA_CLONES void attention_backward(
    const Attention& shape,
    SequenceLength length,
    const AttentionInputs<float>& in,
    const AttentionGradients<float>& to,
    float* scratch) {
  backward_sequence(shape, length, in, to, scratch);
}

ERRATA_CLONES void attention_backward(
    const Attention& shape,
    SequenceLength length,
    const AttentionInputs<Bfloat16>& in,
    const AttentionGradients<Bfloat16>& to,
    float* scratch) {
  backward_sequence(shape, length, in, to, scratch);
}

} // namespace errata::kernels
