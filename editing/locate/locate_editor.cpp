#include "editing/locate/locate_editor.h"

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/resources.h"
#include "editing/gradient_editing.h"
#include "editing/locate/contexts.h"
#include "editing/locate/weight_writer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <span>

namespace errata::editing {
namespace {

// Second moments of so many tokens for each input dimension (FastMEMIT, 2506.04226: 2 to 10).
constexpr std::int64_t kTokensForEachInput = 10;

std::vector<std::int64_t> chosen_layers(const Decoder& model, const EditorOptions& options) {
  const std::int64_t count = model->config().num_layers();
  if (!options.layers.empty()) {
    std::vector<std::int64_t> layers = peft::parse_layers(options.layers, count);
    std::sort(layers.begin(), layers.end());
    return layers;
  }
  if (options.method == "rome") { // as layer 5 of 28 and of 32
    return {std::llround(static_cast<double>(count) / 6)};
  }
  std::vector<std::int64_t> layers; // as layers 4 to 8 of 32
  for (std::int64_t layer = count / 8; layer <= count / 4; ++layer) {
    layers.push_back(layer);
  }
  return layers;
}

std::vector<ResidualSite> sites_of(const Decoder& model, const EditorOptions& options) {
  std::vector<ResidualSite> sites;
  for (const std::int64_t layer : chosen_layers(model, options)) {
    sites.emplace_back(model, layer);
  }
  ERRATA_CHECK(
      options.method != "rome" || sites.size() == 1,
      ErrorCode::kInvalidArgument,
      "--method rome writes into one layer, and --layers names ",
      sites.size());
  return sites;
}

ValueOptions value_options_of(const EditorOptions& options) {
  ValueOptions values;
  values.site = options.method == "rome" ? ValueSite::kMatrix : ValueSite::kLayer;
  values.steps = options.steps;
  values.lr = options.lr;
  values.weight_decay = options.weight_decay;
  values.kl = options.kl;
  values.clamp = options.clamp;
  values.early_stop = options.early_stop;
  values.micro_tokens = options.micro_tokens;
  return values;
}

std::map<std::string, InputMoment> moments_of_what_stays(
    Decoder& model,
    const std::vector<std::string>& modules,
    const EditInput& input,
    const EditorOptions& options) {
  if (options.method == "rome" && !input.rehearsal) {
    return {};
  }
  std::int64_t widest = 0;
  for (const auto& [out, in] : module_shapes(model, modules)) {
    widest = std::max(widest, in);
  }
  return rehearsal_moments(model, modules, input, options, widest * kTokensForEachInput);
}

/// Finds and writes all values; the changes of the weights. The model is the base afterwards.
std::vector<NamedTensor> solve(
    Decoder& model,
    std::span<const ValueProblem> problems,
    const std::map<std::string, InputMoment>& moments,
    const EditorOptions& options,
    EditReport& report,
    const ProgressCallback& progress) {
  const std::vector<ResidualSite> sites = sites_of(model, options);
  const ValueOptions value_options = value_options_of(options);
  WeightWriter writer(model, sites, options, report.contexts.size(), moments);
  const std::size_t batch = options.method == "rome" ? 1
                            : options.batch_size > 0 ? static_cast<std::size_t>(options.batch_size)
                                                     : problems.size();
  double loss = 0;
  for (std::size_t at = 0; at < problems.size(); at += batch) {
    const auto part = problems.subspan(at, std::min(batch, problems.size() - at));
    const auto named = [&](const Progress& values) {
      const std::int64_t done = static_cast<std::int64_t>(at) + values.done;
      errata::report(progress, {"editing", done, std::ssize(problems), "values", ""});
    };
    const Values values = optimise_values(model, sites.back(), part, value_options, named);
    writer.write(part, values);
    loss += values.loss.sum().item<double>();
    report.training.tokens += values.tokens;
  }
  report.training.steps = options.steps;
  report.training.loss = loss / static_cast<double>(problems.size());
  if (options.method != "rome") {
    log(LogLevel::kInfo,
        concat(
            problems.size(),
            " values; ",
            std::llround(100 * writer.missing_share()),
            " % of the wanted change is missing after the writes"));
  }
  return writer.deltas();
}

} // namespace

std::vector<std::string> LocateEditor::modules(
    const Decoder& model, const EditorOptions& options) const {
  std::vector<std::string> names;
  for (const ResidualSite& site : sites_of(model, options)) {
    names.push_back(site.module());
  }
  return names;
}

std::int64_t LocateEditor::trainable_parameters(
    const Decoder& model, const EditorOptions& options) const {
  return weight_count(model, modules(model, options));
}

EditResult LocateEditor::edit(
    Decoder& model,
    const EditInput& input,
    const EditorOptions& options,
    const ProgressCallback& progress) const {
  validate(options);
  const auto begin = std::chrono::steady_clock::now();
  EditResult result;
  result.report.modules = modules(model, options);
  result.report.contexts = sample_contexts(model, input.tokenizer, options.contexts, options.seed);
  const std::vector<ValueProblem> problems = value_problems(
      input.requests(static_cast<std::size_t>(options.edit_wordings)),
      result.report.contexts,
      input.tokenizer);
  const auto moments = moments_of_what_stays(model, result.report.modules, input, options);
  const std::vector<NamedTensor> deltas =
      solve(model, problems, moments, options, result.report, progress);
  result.adapter = attach_difference(model, deltas, options);
  TrainReport& training = result.report.training;
  training.trainable_parameters = trainable_parameters(model, options);
  training.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.report.peak_rss_bytes = peak_rss_bytes();
  return result;
}

} // namespace errata::editing
