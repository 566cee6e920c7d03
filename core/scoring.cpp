#include "core/scoring.h"

#include "core/autograd.h"
#include "core/base/error.h"
#include "core/base/interrupt.h"

#include <algorithm>
#include <numeric>

namespace errata {
namespace {

// Rows of one forward pass.
constexpr std::int64_t kBatchTokens = 8192;
// Logits held at a time.
constexpr std::int64_t kLogits = std::int64_t{1} << 25;

/// Logits of `rows` in float32, a bounded number of rows at a time.
template <typename Visit>
void visit_logits(Decoder& model, const torch::Tensor& rows, const Visit& visit) {
  const std::int64_t chunk = std::max<std::int64_t>(1, kLogits / model->config().vocab_size);
  for (std::int64_t begin = 0; begin < rows.size(0); begin += chunk) {
    const std::int64_t count = std::min(chunk, rows.size(0) - begin);
    const torch::Tensor logits = model->logits(rows.narrow(0, begin, count));
    visit(begin, logits.to(statistics_dtype(logits.scalar_type())));
  }
}

void check_arguments(const std::vector<Tokens>& sequences, const std::vector<std::int64_t>& first) {
  ERRATA_CHECK(
      sequences.size() == first.size(),
      ErrorCode::kInternal,
      "score_tokens: ",
      sequences.size(),
      " sequences but ",
      first.size(),
      " starts");
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto size = static_cast<std::int64_t>(sequences[i].size());
    ERRATA_CHECK(
        1 <= first[i] && first[i] <= std::max<std::int64_t>(1, size),
        ErrorCode::kInvalidArgument,
        "sequence ",
        i,
        " of ",
        size,
        " tokens cannot be scored from token ",
        first[i],
        "; expected 1 to ",
        size);
  }
}

/// Where the score of one token goes.
struct Place {
  std::size_t sequence;
  std::int64_t token;
};

void score_batch(
    Decoder& model,
    const std::vector<Tokens>& sequences,
    const std::vector<std::int64_t>& first,
    std::span<const std::size_t> members,
    std::vector<std::vector<TokenScore>>& scores) {
  std::vector<Tokens> picked;
  for (const std::size_t index : members) {
    // The last token predicts nothing that is asked for.
    picked.emplace_back(sequences[index].begin(), sequences[index].end() - 1);
  }
  const PackedBatch batch = pack(picked, model->device());
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> targets;
  std::vector<Place> places;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Tokens& tokens = sequences[members[i]];
    for (std::int64_t t = first[members[i]]; t < static_cast<std::int64_t>(tokens.size()); ++t) {
      rows.push_back(batch.row_of(i, t - 1));
      targets.push_back(tokens[static_cast<std::size_t>(t)]);
      places.push_back({members[i], t});
    }
  }
  const auto device = model->device();
  const torch::Tensor hidden = model->hidden(batch, torch::tensor(rows, torch::kInt64).to(device));
  const torch::Tensor target = torch::tensor(targets, torch::kInt64).to(device);
  visit_logits(model, hidden, [&](std::int64_t begin, const torch::Tensor& logits) {
    const torch::Tensor wanted = target.narrow(0, begin, logits.size(0));
    const torch::Tensor chosen = logits.gather(1, wanted.unsqueeze(1)).squeeze(1);
    const torch::Tensor logprob =
        (chosen - torch::logsumexp(logits, 1)).to(torch::kCPU, torch::kFloat64);
    const torch::Tensor best = logits.argmax(1).eq(wanted).to(torch::kCPU);
    for (std::int64_t i = 0; i < logits.size(0); ++i) {
      const Place& place = places[static_cast<std::size_t>(begin + i)];
      const auto at = static_cast<std::size_t>(place.token - first[place.sequence]);
      scores[place.sequence][at] = {logprob.data_ptr<double>()[i], best.data_ptr<bool>()[i]};
    }
  });
}

} // namespace

std::vector<std::vector<TokenScore>> score_tokens(
    Decoder& model,
    const std::vector<Tokens>& sequences,
    const std::vector<std::int64_t>& first,
    const ProgressCallback& progress) {
  const torch::NoGradGuard no_grad;
  check_arguments(sequences, first);
  std::vector<std::vector<TokenScore>> scores(sequences.size());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (static_cast<std::int64_t>(sequences[i].size()) > first[i]) {
      scores[i].resize(sequences[i].size() - static_cast<std::size_t>(first[i]));
      order.push_back(i);
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return sequences[a].size() < sequences[b].size();
  });
  std::size_t begin = 0;
  while (begin < order.size()) {
    ERRATA_CHECK(!interrupted(), ErrorCode::kInterrupted, "scoring stopped by the user");
    std::size_t end = begin;
    std::int64_t tokens = 0;
    while (end < order.size() && (end == begin || tokens < kBatchTokens)) {
      tokens += static_cast<std::int64_t>(sequences[order[end++]].size());
    }
    score_batch(model, sequences, first, std::span(order).subspan(begin, end - begin), scores);
    begin = end;
    report(
        progress,
        {"scoring",
         static_cast<std::int64_t>(begin),
         static_cast<std::int64_t>(order.size()),
         "sequences",
         ""});
  }
  return scores;
}

std::vector<std::vector<std::pair<std::int32_t, double>>> top_tokens(
    Decoder& model, const Tokens& sequence, std::int64_t top) {
  const torch::NoGradGuard no_grad;
  ERRATA_CHECK(top > 0, ErrorCode::kInvalidArgument, "top is ", top, ", expected at least 1");
  const torch::Tensor hidden = model->hidden(pack(std::span(&sequence, 1), model->device()));
  const std::int64_t count = std::min(top, model->config().vocab_size);
  std::vector<std::vector<std::pair<std::int32_t, double>>> result;
  visit_logits(model, hidden, [&](std::int64_t, const torch::Tensor& logits) {
    const auto [values, ids] = torch::log_softmax(logits, 1).topk(count, 1);
    const torch::Tensor logprob = values.to(torch::kCPU, torch::kFloat64).contiguous();
    const torch::Tensor token = ids.to(torch::kCPU).contiguous();
    for (std::int64_t row = 0; row < logits.size(0); ++row) {
      auto& best = result.emplace_back();
      for (std::int64_t i = row * count; i < (row + 1) * count; ++i) {
        best.emplace_back(
            static_cast<std::int32_t>(token.data_ptr<std::int64_t>()[i]),
            logprob.data_ptr<double>()[i]);
      }
    }
  });
  return result;
}

} // namespace errata
