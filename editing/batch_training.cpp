#include "editing/batch_training.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/resources.h"
#include "core/safetensors.h"
#include "editing/adapter_editor.h"
#include "editing/gradient_editing.h"

#include <algorithm>
#include <filesystem>
#include <string>

namespace errata::editing {
namespace {

namespace fs = std::filesystem;

// Where a sequence stands between two batches, and what it is made of.
class SequenceState {
 public:
  explicit SequenceState(const CheckpointOptions& checkpoint)
      : file_(
            checkpoint.directory.empty() ? fs::path()
                                         : checkpoint.directory / "batches.safetensors") {
    if (checkpoint.resume && fs::exists(file_)) {
      load();
    }
  }

  std::size_t done() const { return done_; }
  const std::vector<NamedTensor>& values() const { return values_; }
  const TrainReport& report() const { return report_; }

  // One batch more: the adapter as it is now.
  void add(const peft::Adapter& adapter, const TrainReport& batch) {
    values_.clear();
    for (const auto& [name, tensor] : adapter.named_parameters()) {
      values_.emplace_back(name, tensor.detach().clone());
    }
    ++done_;
    report_.steps += batch.steps;
    report_.tokens += batch.tokens;
    report_.skipped += batch.skipped;
    report_.seconds += batch.seconds;
    report_.loss = batch.loss;
    report_.trainable_parameters = batch.trainable_parameters;
    report_.stopped_early = report_.stopped_early || batch.stopped_early;
    save();
  }

 private:
  void load() {
    const SafetensorsFile file(file_);
    const auto& data = file.metadata();
    const auto number = [&](const std::string& name) {
      const auto found = data.find(name);
      ERRATA_CHECK(
          found != data.end(),
          ErrorCode::kCorrupt,
          file_.string(),
          ": '",
          name,
          "' is missing; remove the run directory and begin again");
      return std::stod(found->second);
    };
    done_ = static_cast<std::size_t>(number("batches"));
    report_.steps = static_cast<std::int64_t>(number("steps"));
    report_.tokens = static_cast<std::int64_t>(number("tokens"));
    report_.skipped = static_cast<std::int64_t>(number("skipped"));
    report_.seconds = number("seconds");
    report_.loss = number("loss");
    report_.trainable_parameters = static_cast<std::int64_t>(number("parameters"));
    report_.stopped_early = number("stopped_early") != 0;
    for (const std::string& name : file.names()) {
      values_.emplace_back(name, file.tensor(name).clone());
    }
  }

  void save() const {
    if (file_.empty()) {
      return;
    }
    make_directories(file_.parent_path());
    save_safetensors(
        file_,
        values_,
        {{"batches", std::to_string(done_)},
         {"steps", std::to_string(report_.steps)},
         {"tokens", std::to_string(report_.tokens)},
         {"skipped", std::to_string(report_.skipped)},
         {"seconds", std::to_string(report_.seconds)},
         {"loss", std::to_string(report_.loss)},
         {"parameters", std::to_string(report_.trainable_parameters)},
         {"stopped_early", report_.stopped_early ? "1" : "0"}});
  }

  fs::path file_;
  std::size_t done_ = 0;
  std::vector<NamedTensor> values_;
  TrainReport report_;
};

EditorOptions options_of_batch(
    const EditorOptions& all, const BatchSpan& span, const std::vector<BatchSpan>& spans) {
  EditorOptions options = all;
  if (all.steps > 0) {
    options.steps = batch_steps(span, spans, all.steps);
    if (options.steps < all.steps) { // a short batch would be over before its rate has risen
      options.warmup = std::min(all.warmup, options.steps / 4);
    }
  }
  if (!all.checkpoint.directory.empty()) {
    options.checkpoint.directory = all.checkpoint.directory / to_string(span.to);
  }
  return options;
}

ProgressCallback named(const ProgressCallback& progress, const std::string& what) {
  if (!progress) {
    return {};
  }
  return [&progress, what](const Progress& inner) {
    Progress outer = inner;
    outer.what = concat(inner.what, ' ', what);
    progress(outer);
  };
}

// A sequence whose last batch was done when it was stopped.
EditResult attach_done(Decoder& model, const SequenceState& state, const EditorOptions& options) {
  EditResult result;
  const std::vector<NamedTensor>& values = state.values();
  result.adapter =
      peft::attach_adapter(model, adapter_config(model, options, values), options.seed);
  set_values(*result.adapter, values);
  result.report.modules = result.adapter->modules();
  return result;
}

} // namespace

EditInput make_edit_input(
    const EditPlan& plan,
    const Wordings& wordings,
    const AugmentOptions& augment,
    const Tokenizer& tokenizer,
    std::uint64_t seed,
    SharedDocuments echo) {
  OpenStream rehearsal;
  if (plan.explicit_edits.empty()) {
    rehearsal = [&plan, &wordings, augment, seed, echo] {
      // Another seed than the training's: the projection is measured on texts of their own.
      return rehearsal_documents(plan, wordings, augment, seed + 1, echo);
    };
  }
  return {
      tokenizer,
      [&plan, &wordings, augment, seed, echo] {
        return edit_documents(plan, wordings, augment, seed, echo);
      },
      edit_examples(plan, wordings),
      rehearsal,
      [&plan, &wordings](std::size_t count) { return edit_requests(plan, wordings, count); },
      {}};
}

EditResult edit_in_batches(
    Decoder& model,
    const Tokenizer& tokenizer,
    const BatchSequence& sequence,
    const EditorOptions& options,
    const ProgressCallback& progress) {
  ERRATA_CHECK(
      options.method == "lora" && options.kl == 0,
      ErrorCode::kUnsupported,
      "batches one after the other train one LoRA and know no KL to the base, which lacks the "
      "earlier ones; use --method lora without --kl");
  const std::vector<BatchSpan>& spans = sequence.spans;
  SequenceState state(options.checkpoint);
  EditResult result;
  while (state.done() < spans.size()) {
    const BatchSpan& span = spans[state.done()];
    const std::string what = concat("batch ", state.done() + 1, " of ", spans.size());
    result.adapter.reset(); // the next one goes on from its values
    const EditPlan plan = batch_plan(
        sequence.knowledge,
        span,
        sequence.difference(span.from, span.to),
        spans.front().from,
        sequence.plan);
    EditInput input = make_edit_input(
        plan, sequence.wordings, sequence.augment, tokenizer, options.seed, sequence.echo);
    input.start = state.values();
    const EditorOptions batch = options_of_batch(options, span, spans);
    result = AdapterEditor().edit(model, input, batch, named(progress, what));
    state.add(*result.adapter, result.report.training);
    log(LogLevel::kInfo,
        concat(
            what,
            ", to ",
            to_string(span.to),
            ": ",
            span.edits,
            " edits, ",
            result.report.training.steps,
            " steps, loss ",
            result.report.training.loss));
    if (!batch.checkpoint.directory.empty()) {
      fs::remove_all(batch.checkpoint.directory);
    }
  }
  if (!result.adapter) {
    result = attach_done(model, state, options);
  }
  result.report.training = state.report();
  result.report.peak_rss_bytes = peak_rss_bytes();
  return result;
}

} // namespace errata::editing
