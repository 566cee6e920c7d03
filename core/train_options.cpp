#include "core/train_options.h"

#include "core/base/error.h"

#include <cmath>

namespace errata {
namespace {

// Exact: two options are the same only if every bit is.
std::string text(double value) {
  std::ostringstream out;
  out.precision(17);
  out << value;
  return std::move(out).str();
}

void check_range(const char* name, double value, double low, double high) {
  ERRATA_CHECK(
      std::isfinite(value) && value >= low && value <= high,
      ErrorCode::kInvalidArgument,
      name,
      " is ",
      value,
      "; expected a number from ",
      low,
      " to ",
      high);
}

} // namespace

void validate(const TrainOptions& options) {
  ERRATA_CHECK(
      (options.steps > 0) != (options.epochs > 0) && options.steps >= 0 && options.epochs >= 0,
      ErrorCode::kInvalidArgument,
      "steps is ",
      options.steps,
      " and epochs is ",
      options.epochs,
      "; exactly one of them must be positive");
  ERRATA_CHECK(
      options.batch.batch_tokens > 0 && options.batch.micro_tokens > 0 && options.batch.pool > 0 &&
          options.batch.batch_examples >= 0,
      ErrorCode::kInvalidArgument,
      "batch size must be positive");
  check_range("warm-up", static_cast<double>(options.schedule.warmup), 0, 1e9);
  check_range("decay", options.schedule.decay, 0, 1);
  check_range("schedule floor", options.schedule.floor, 0, 1);
  check_range("gradient clip", options.grad_clip, 0, 1e9);
  check_range("early-stop loss", options.early_stop, 0, 1e9);
  ERRATA_CHECK(
      options.residual_dropout >= 0 && options.residual_dropout < 1,
      ErrorCode::kInvalidArgument,
      "dropout is ",
      options.residual_dropout,
      "; expected at least 0 and less than 1");
  check_range("kl", options.kl, 0, 1e6);
}

std::map<std::string, std::string> fingerprint(const TrainOptions& options) {
  std::map<std::string, std::string> all = options.context;
  all["steps"] = concat(options.steps);
  all["epochs"] = concat(options.epochs);
  all["batch-tokens"] = concat(options.batch.batch_tokens);
  all["batch-size"] = concat(options.batch.batch_examples);
  all["micro-tokens"] = concat(options.batch.micro_tokens);
  all["pool"] = concat(options.batch.pool);
  all["batch-seed"] = concat(options.batch.seed);
  all["schedule"] = to_string(options.schedule.kind);
  all["warmup"] = concat(options.schedule.warmup);
  all["decay"] = text(options.schedule.decay);
  all["floor"] = text(options.schedule.floor);
  all["loss-mean"] = options.loss_mean == LossMean::kTokens ? "tokens" : "examples";
  all["grad-clip"] = text(options.grad_clip);
  all["early-stop"] = text(options.early_stop);
  all["residual-dropout"] = text(options.residual_dropout);
  all["kl"] = text(options.kl);
  all["seed"] = concat(options.seed);
  // States from the cache and states computed with the batch may differ in the last bit.
  all["prefix-cache"] = options.prefix_cache ? concat(options.prefix_cache_bytes) : "off";
  return all;
}

} // namespace errata
