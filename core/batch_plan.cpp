#include "core/batch_plan.h"

#include "core/base/error.h"
#include "core/base/random.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace errata {
namespace {

std::int64_t total_rows(const MicroBatch& examples) {
  return std::accumulate(
      examples.begin(), examples.end(), std::int64_t{0}, [](std::int64_t sum, const auto& e) {
        return sum + e.example->rows();
      });
}

// Cuts examples, sorted by length, into the fewest pieces of about equal size that hold at most
// `rows` each (one example more where sizes do not divide).
std::vector<MicroBatch> cut(MicroBatch examples, std::int64_t rows) {
  std::stable_sort(examples.begin(), examples.end(), [](const auto& a, const auto& b) {
    return a.example->rows() < b.example->rows();
  });
  const std::int64_t total = total_rows(examples);
  const std::int64_t pieces = std::max<std::int64_t>(1, (total + rows - 1) / rows);
  std::vector<MicroBatch> out(1);
  std::int64_t taken = 0;
  for (PlannedExample& example : examples) {
    if (!out.back().empty() && taken * pieces >= static_cast<std::int64_t>(out.size()) * total) {
      out.emplace_back();
    }
    taken += example.example->rows();
    out.back().push_back(std::move(example));
  }
  return out;
}

class StreamPlan final : public BatchPlan {
 public:
  StreamPlan(ExampleSource& source, const BatchOptions& options)
      : source_(source), options_(options), random_(options.seed) {}

  StepBatch next() override {
    const std::int64_t pieces = std::max<std::int64_t>(
        1, (options_.batch_tokens + options_.micro_tokens / 2) / options_.micro_tokens);
    StepBatch batch;
    for (std::int64_t i = 0; i < pieces; ++i) {
      if (ready_.empty()) {
        refill();
      }
      batch.micro.push_back(std::move(ready_.back()));
      ready_.pop_back();
    }
    return batch;
  }

  std::int64_t steps() const override { return 0; }

 private:
  void refill() {
    MicroBatch pool;
    for (std::int64_t i = 0; i < options_.pool; ++i) {
      pool.push_back({std::make_shared<const TrainExample>(source_.next()), -1});
    }
    ready_ = cut(std::move(pool), std::min(options_.micro_tokens, options_.batch_tokens));
    random_.shuffle(ready_);
  }

  ExampleSource& source_;
  BatchOptions options_;
  Random random_;
  std::vector<MicroBatch> ready_;
};

class EpochPlan final : public BatchPlan {
 public:
  EpochPlan(
      std::vector<std::shared_ptr<const TrainExample>> examples,
      std::int64_t epochs,
      const BatchOptions& options)
      : examples_(std::move(examples)), epochs_(epochs), options_(options) {
    ERRATA_CHECK(!examples_.empty(), ErrorCode::kInvalidArgument, "there are no training examples");
    for (std::int64_t epoch = 0; epoch < epochs_; ++epoch) {
      start(epoch);
      while (at_ < order_.size()) {
        take();
        ++steps_;
      }
    }
    start(0);
  }

  StepBatch next() override {
    if (at_ == order_.size()) {
      start(epoch_ + 1);
    }
    StepBatch batch;
    batch.micro = cut(take(), options_.micro_tokens);
    batch.ends_epoch = at_ == order_.size();
    return batch;
  }

  std::int64_t steps() const override { return steps_; }

 private:
  void start(std::int64_t epoch) {
    epoch_ = epoch;
    at_ = 0;
    order_.resize(examples_.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    Random random(options_.seed + static_cast<std::uint64_t>(epoch) * 0x9e3779b97f4a7c15ULL);
    random.shuffle(order_);
  }

  MicroBatch take() {
    MicroBatch batch;
    std::int64_t rows = 0;
    while (at_ < order_.size()) {
      const std::size_t index = order_[at_];
      const bool full = options_.batch_examples > 0
                            ? static_cast<std::int64_t>(batch.size()) >= options_.batch_examples
                            : rows + examples_[index]->rows() > options_.batch_tokens;
      if (full && !batch.empty()) {
        break;
      }
      rows += examples_[index]->rows();
      batch.push_back({examples_[index], static_cast<std::int64_t>(index)});
      ++at_;
    }
    return batch;
  }

  std::vector<std::shared_ptr<const TrainExample>> examples_;
  std::int64_t epochs_;
  BatchOptions options_;
  std::int64_t steps_ = 0;
  std::int64_t epoch_ = 0;
  std::vector<std::size_t> order_;
  std::size_t at_ = 0;
};

} // namespace

std::vector<MicroBatch> share_out(
    const MicroBatch& micro,
    std::size_t parts,
    const std::function<double(const TrainExample&)>& cost) {
  std::vector<MicroBatch> shares(parts);
  std::vector<double> costs(parts);
  for (const PlannedExample& planned : micro) {
    const auto least = std::min_element(costs.begin(), costs.end()) - costs.begin();
    shares[static_cast<std::size_t>(least)].push_back(planned);
    costs[static_cast<std::size_t>(least)] += cost(*planned.example);
  }
  return shares;
}

std::unique_ptr<BatchPlan> plan_stream(ExampleSource& source, const BatchOptions& options) {
  return std::make_unique<StreamPlan>(source, options);
}

std::unique_ptr<BatchPlan> plan_epochs(
    std::vector<std::shared_ptr<const TrainExample>> examples,
    std::int64_t epochs,
    const BatchOptions& options) {
  return std::make_unique<EpochPlan>(std::move(examples), epochs, options);
}

} // namespace errata
