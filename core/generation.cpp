#include "core/generation.h"

#include "core/base/error.h"
#include "core/base/interrupt.h"
#include "core/base/random.h"
#include "core/kv_cache.h"
#include "core/sampling.h"

#include <algorithm>
#include <optional>

namespace errata {
namespace {

// Tokens of one prefill pass: bounds its activations.
constexpr std::int64_t kPrefillTokens = 8192;
// Products are compiled for each number of rows and like some multiple, so that finished rows stay
// as fillers up to the next one.
constexpr std::int64_t kRowMultiple = 16;

void check_options(const GenerationOptions& options, const std::vector<Tokens>& prompts) {
  const auto require = [](bool holds, const char* what) {
    ERRATA_CHECK(holds, ErrorCode::kInvalidArgument, "generation: ", what);
  };
  require(options.max_new_tokens >= 0, "max_new_tokens is negative");
  require(options.temperature >= 0, "temperature is negative");
  require(options.top_k >= 0, "top_k is negative");
  require(options.top_p > 0 && options.top_p <= 1, "top_p must be in (0, 1]");
  require(options.min_p >= 0 && options.min_p <= 1, "min_p must be in [0, 1]");
  require(options.repetition_penalty > 0, "repetition_penalty must be positive");
  require(options.max_batch > 0, "max_batch must be positive");
  require(
      options.routing.routes.empty() || options.routing.routes.size() == prompts.size(),
      "each prompt needs a route");
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    ERRATA_CHECK(!prompts[i].empty(), ErrorCode::kInvalidArgument, "prompt ", i, " has no tokens");
  }
}

/// A sequence being continued; `prompt` is the caller's index.
struct Row {
  std::size_t prompt;
  Random random;
  bool live = true;
};

/// Whatever ends the generation, adapters are for all rows again afterwards.
class RoutingScope {
 public:
  explicit RoutingScope(const Routing& routing) : routing_(routing) {}
  ~RoutingScope() {
    if (routing_.select) {
      routing_.select({});
    }
  }
  RoutingScope(const RoutingScope&) = delete;
  RoutingScope& operator=(const RoutingScope&) = delete;

 private:
  const Routing& routing_;
};

class Generator {
 public:
  Generator(
      Decoder& model,
      const std::vector<Tokens>& prompts,
      const GenerationOptions& options,
      const ProgressCallback& progress)
      : model_(model),
        prompts_(prompts),
        options_(options),
        progress_(progress),
        results_(prompts.size()),
        queue_(prompts, options.routing.routes, /*merge_equal=*/options.temperature == 0),
        cache_(empty_cache(0)),
        prefix_(empty_cache(1)) {}

  std::vector<Generation> run();

 private:
  KvCache empty_cache(std::int64_t rows) const {
    return {model_->config(), rows, model_->compute_dtype(), model_->device()};
  }
  std::int64_t route_of(std::size_t prompt) const {
    return options_.routing.routes.empty() ? 0 : options_.routing.routes[prompt];
  }
  /// Before a pass of `steps[i]` tokens of the i-th of these prompts.
  void select_route(
      const std::vector<std::size_t>& prompts, const std::vector<std::int64_t>& steps) const;
  void compute_shared();
  void admit();
  void prefill(const std::vector<std::size_t>& group);
  void step();
  void accept(const torch::Tensor& hidden, std::vector<Row*> rows);
  void penalise(torch::Tensor& logits, const std::vector<Row*>& rows) const;
  void take(Row& row, std::int32_t token);
  /// Up to the next multiple of so many rows; 1: all.
  void drop_finished(std::int64_t multiple);
  std::int64_t live() const;
  std::vector<std::int32_t> next_tokens(const torch::Tensor& hidden, std::vector<Row*>& rows);
  std::int64_t capacity_left() const { return options_.max_batch - live(); }

  Decoder& model_;
  const std::vector<Tokens>& prompts_;
  const GenerationOptions& options_;
  const ProgressCallback& progress_;
  std::vector<Generation> results_;
  PromptQueue queue_;     ///< greedy continuations of equal prompts are equal
  std::vector<Row> rows_; ///< row i of the cache
  KvCache cache_;
  KvCache prefix_; ///< one row: what all prompts begin with
  std::int64_t finished_ = 0;
};

void Generator::select_route(
    const std::vector<std::size_t>& prompts, const std::vector<std::int64_t>& steps) const {
  if (!options_.routing.select) {
    return;
  }
  std::vector<std::int64_t> routes;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    routes.insert(routes.end(), static_cast<std::size_t>(steps[i]), route_of(prompts[i]));
  }
  options_.routing.select(routes);
}

std::vector<Generation> Generator::run() {
  if (options_.max_new_tokens == 0) {
    return results_;
  }
  compute_shared();
  while (!queue_.empty() || !rows_.empty()) {
    ERRATA_CHECK(!interrupted(), ErrorCode::kInterrupted, "generation stopped by the user");
    admit();
    if (!rows_.empty()) {
      step();
    }
    report(progress_, {"generating", finished_, queue_.distinct(), "answers", ""});
  }
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    if (queue_.runs_for(i) != i) {
      results_[i] = results_[queue_.runs_for(i)];
    }
  }
  return std::move(results_);
}

void Generator::compute_shared() {
  const std::int64_t shared = queue_.shared();
  if (shared > 0) {
    select_route({queue_.next()}, {shared});
    const Tokens& any = prompts_[queue_.next()];
    const std::vector<std::int64_t> ids(any.begin(), any.begin() + shared);
    model_->hidden_cached(
        torch::tensor(ids, torch::kInt64).to(model_->device()).unsqueeze(0), prefix_);
  }
}

// New rows come in when a quarter of the places is free: a pass of few tokens costs nearly as much
// as one of many.
void Generator::admit() {
  if (!rows_.empty() && capacity_left() * 4 < options_.max_batch) {
    return;
  }
  if (!queue_.empty()) {
    drop_finished(1);
  }
  while (!queue_.empty() && capacity_left() > 0) {
    prefill(queue_.take(capacity_left(), kPrefillTokens, model_->takes_unequal_steps()));
  }
}

void Generator::prefill(const std::vector<std::size_t>& group) {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> steps;
  std::vector<std::int64_t> ends; // the row of each prompt's last token
  for (const std::size_t index : group) {
    const Tokens& prompt = prompts_[index];
    ids.insert(ids.end(), prompt.begin() + queue_.shared(), prompt.end());
    steps.push_back(static_cast<std::int64_t>(prompt.size()) - queue_.shared());
    ends.push_back(static_cast<std::int64_t>(ids.size()) - 1);
  }
  select_route(group, steps);
  KvCache cache = prefix_.copy(std::vector<std::int64_t>(group.size(), 0));
  const torch::Tensor all = torch::tensor(ids, torch::kInt64).to(model_->device());
  const torch::Tensor last = torch::tensor(ends, torch::kInt64).to(model_->device());
  const bool any_lengths = model_->takes_unequal_steps();
  // Rows with adapters of their own have them given for the whole pass.
  const torch::Tensor wanted = options_.routing.select ? torch::Tensor() : last;
  torch::Tensor hidden =
      any_lengths ? model_->hidden_cached(all, steps, cache, wanted)
                  : model_->hidden_cached(all.view({cache.rows(), -1}), cache).flatten(0, 1);
  if (!any_lengths || !wanted.defined()) {
    hidden = hidden.index_select(0, last);
  }
  std::vector<Row> rows;
  std::vector<Row*> pointers;
  for (const std::size_t index : group) {
    rows.push_back({index, prompt_stream(options_.seed, index)});
  }
  for (Row& row : rows) {
    pointers.push_back(&row);
  }
  // The output head sees the last rows only.
  select_route(group, std::vector<std::int64_t>(group.size(), 1));
  accept(hidden, pointers);
  cache_.append(cache);
  std::move(rows.begin(), rows.end(), std::back_inserter(rows_));
  drop_finished(kRowMultiple);
}

void Generator::step() {
  std::vector<std::int64_t> ids;
  std::vector<Row*> pointers;
  std::vector<std::size_t> prompts;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (!rows_[i].live) { // a filler begins anew at each step, so that it neither grows nor costs
      cache_.clear(static_cast<std::int64_t>(i));
    }
  }
  for (Row& row : rows_) {
    prompts.push_back(row.prompt);
    const Tokens& tokens = results_[row.prompt].tokens;
    ids.push_back(tokens.empty() ? prompts_[row.prompt].back() : tokens.back());
    pointers.push_back(&row);
  }
  select_route(prompts, std::vector<std::int64_t>(prompts.size(), 1));
  const torch::Tensor hidden = model_->hidden_cached(
      torch::tensor(ids, torch::kInt64).to(model_->device()).unsqueeze(1), cache_);
  accept(hidden.select(1, 0), pointers);
  drop_finished(kRowMultiple);
}

std::vector<std::int32_t> Generator::next_tokens(
    const torch::Tensor& hidden, std::vector<Row*>& rows) {
  torch::Tensor logits = model_->logits(hidden);
  if (options_.repetition_penalty != 1) {
    logits = logits.to(torch::kCPU, torch::kFloat32).contiguous();
    penalise(logits, rows);
  }
  std::vector<std::int32_t> tokens(rows.size());
  if (options_.temperature == 0) {
    return largest_of_rows(logits);
  }
  const torch::Tensor values = logits.to(torch::kCPU, torch::kFloat32).contiguous();
  const auto vocab = static_cast<std::size_t>(values.size(1));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i]->live) {
      const std::span<const float> row(values.data_ptr<float>() + i * vocab, vocab);
      tokens[i] = sample_token(row, options_, rows[i]->random);
    }
  }
  return tokens;
}

void Generator::penalise(torch::Tensor& logits, const std::vector<Row*>& rows) const {
  const auto vocab = static_cast<std::size_t>(logits.size(1));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Tokens seen = prompts_[rows[i]->prompt];
    const Tokens& text = results_[rows[i]->prompt].tokens;
    seen.insert(seen.end(), text.begin(), text.end());
    penalise_repetition(
        {logits.data_ptr<float>() + i * vocab, vocab}, seen, options_.repetition_penalty);
  }
}

void Generator::accept(const torch::Tensor& hidden, std::vector<Row*> rows) {
  const std::vector<std::int32_t> tokens = next_tokens(hidden, rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i]->live) {
      take(*rows[i], tokens[i]);
    }
  }
}

void Generator::take(Row& row, std::int32_t token) {
  Generation& result = results_[row.prompt];
  std::optional<Finish> finish;
  if (std::find(options_.eos.begin(), options_.eos.end(), token) != options_.eos.end()) {
    finish = Finish::kEos;
  } else {
    result.tokens.push_back(token);
    if (options_.should_stop && options_.should_stop(result.tokens)) {
      finish = Finish::kStop;
    } else if (static_cast<std::int64_t>(result.tokens.size()) >= options_.max_new_tokens) {
      finish = Finish::kLength;
    }
  }
  if (finish) {
    result.finish = *finish;
    row.live = false;
    ++finished_;
  }
}

std::int64_t Generator::live() const {
  return std::count_if(rows_.begin(), rows_.end(), [](const Row& row) { return row.live; });
}

void Generator::drop_finished(std::int64_t multiple) {
  std::int64_t fillers = (live() + multiple - 1) / multiple * multiple - live();
  std::vector<std::int64_t> kept;
  std::vector<Row> rows;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].live || fillers-- > 0) {
      kept.push_back(static_cast<std::int64_t>(i));
      rows.push_back(rows_[i]);
    }
  }
  if (rows.size() < rows_.size()) {
    cache_.keep(kept);
    rows_ = std::move(rows);
  }
}

} // namespace

std::string_view to_string(Finish finish) noexcept {
  switch (finish) {
    case Finish::kEos:
      return "eos";
    case Finish::kStop:
      return "stop";
    case Finish::kLength:
      break;
  }
  return "length";
}

std::vector<Generation> generate(
    Decoder& model,
    const std::vector<Tokens>& prompts,
    const GenerationOptions& options,
    const ProgressCallback& progress) {
  const torch::NoGradGuard no_grad;
  check_options(options, prompts);
  const RoutingScope scope(options.routing);
  return Generator(model, prompts, options, progress).run();
}

} // namespace errata
