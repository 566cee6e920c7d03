#include "cli/edit_batch.h"

#include "cli/dry_run.h"
#include "cli/edit_input.h"
#include "cli/edit_setup.h"
#include "cli/output.h"
#include "cli/run_directory.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/resources.h"
#include "core/device.h"
#include "core/model.h"
#include "core/version.h"
#include "eval/evaluate.h"

#include <cstdio>
#include <filesystem>
#include <map>
#include <ostream>

namespace errata::cli {
namespace {

namespace fs = std::filesystem;

Model load_for_editing(const EditBatchOptions& options, const CommonOptions& common) {
  LoadOptions load;
  load.device = parse_device(common.device);
  load.dtype = parse_dtype(common.dtype, load.device);
  Model model = load_model(options.model, load);
  ERRATA_CHECK(
      model.tokenizer != nullptr,
      ErrorCode::kNotFound,
      "model directory ",
      options.model,
      " has no tokenizer.model; edits are texts");
  return model;
}

/// The steps of one run, in order, with what they share.
class Run {
 public:
  Run(const EditBatchOptions& options, const CommonOptions& common, const Streams& streams)
      : options_(options),
        common_(common),
        streams_(streams),
        progress_(common.progress_callback(streams)),
        setup_(prepare_edits(options, common.seed)) {}

  void execute() {
    if (options_.dry_run) {
      print_dry_run(*setup_, load_for_editing(options_, common_), common_.json, streams_.out);
      return;
    }
    ERRATA_CHECK(
        !options_.out.empty(), ErrorCode::kInvalidArgument, "--out is missing: where to write");
    directory_ = std::make_unique<RunDirectory>(
        options_.out,
        options_.resume ? RunDirectory::Mode::kResume : RunDirectory::Mode::kFresh,
        resolved_options(*setup_, options_, common_));
    if (directory_->finished()) {
      print_finished();
      return;
    }
    model_ = load_for_editing(options_, common_);
    // Targets and layers that this model lacks are refused before the run begins.
    editing::make_editor(setup_->editor.method)->modules(model_.decoder, setup_->editor);
    note_inputs();
    directory_->write_run(facts_, "running");
    try {
      work();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) {
        directory_->write_run(facts_, "interrupted");
      }
      throw;
    }
  }

 private:
  void note_inputs() {
    const BuildInfo& build = build_info();
    facts_["versions"] = {
        {"errata", build.version}, {"commit", build.commit}, {"libtorch", build.libtorch}};
    facts_["model_sha256"] = model_.hash;
    facts_["tokenizer_sha256"] = model_.tokenizer->hash();
    facts_["source_sha256"] = setup_->source_hash;
    facts_["compute_dtype"] = dtype_name(model_.decoder->compute_dtype());
    facts_["threads"] = at::get_num_threads();
    facts_["plan"] = OrderedJson::parse(editing::summary_json(setup_->plan));
    if (!setup_->batches.empty()) {
      facts_["batches"] = batches_json(*setup_);
    }
  }

  void work() {
    log(LogLevel::kInfo, concat(setup_->plan.size(), " edits into ", options_.model));
    std::vector<eval::Task> tasks;
    eval::Subject subject{model_.decoder, *model_.tokenizer, model_.eos};
    if (!options_.no_eval) {
      tasks = edit_tasks(*setup_, options_);
      eval::answer_before(subject, tasks, evaluate_options());
    }
    editing::EditResult result = train();
    save(result);
    if (!options_.no_eval) {
      evaluate(subject, std::move(tasks), *result.adapter);
    }
    finish(result);
  }

  eval::EvaluateOptions evaluate_options() const {
    eval::EvaluateOptions options;
    options.bootstrap.seed = common_.seed;
    options.cache = directory_->checkpoint() / "answers";
    options.base_cache = options_.base_answers;
    options.model_hash = model_.hash;
    options.excluded = {
        {"shared_aliases", static_cast<std::int64_t>(setup_->plan.shared_aliases)},
        {"dropped_cases", static_cast<std::int64_t>(setup_->plan.dropped_cases)}};
    options.progress = progress_;
    return options;
  }

  editing::EditResult train() {
    editing::EditorOptions editor = setup_->editor;
    editor.checkpoint.directory = directory_->checkpoint() / "training";
    editor.checkpoint.resume = options_.resume;
    editor.checkpoint.every_seconds = options_.checkpoint_every;
    editor.context = {
        {"model", model_.hash},
        {"source", setup_->source_hash},
        {"augment", resolved_options(*setup_, options_, common_).dump()}};
    editing::EditResult result = edit(editor);
    const TrainReport& training = result.report.training;
    log(LogLevel::kInfo,
        concat(
            "trained ",
            training.steps,
            " steps, ",
            training.tokens,
            " tokens, ",
            training.seconds,
            " s, loss ",
            training.loss));
    return result;
  }

  editing::EditResult edit(const editing::EditorOptions& editor) {
    const editing::SharedDocuments echo = echo_of(*setup_, model_, progress_);
    if (setup_->batches.empty()) {
      const editing::EditInput input =
          edit_input(*setup_, *model_.tokenizer, echo, own_text_of(*setup_, model_, progress_));
      return editing::make_editor(editor.method)->edit(model_.decoder, input, editor, progress_);
    }
    const editing::BatchSequence sequence{
        setup_->knowledge,
        *setup_->wordings,
        setup_->augment,
        setup_->plan.options,
        setup_->batches,
        echo,
        [this](const Date& from, const Date& to) { return setup_->difference(from, to); }};
    return editing::edit_in_batches(model_.decoder, *model_.tokenizer, sequence, editor, progress_);
  }

  void save(const editing::EditResult& result) {
    std::map<std::string, std::string> metadata = {
        {"errata.version", build_info().version},
        {"errata.method", setup_->editor.method},
        {"errata.base.sha256", model_.hash},
        {"errata.edits.sha256", setup_->source_hash},
        {"errata.seed", std::to_string(common_.seed)}};
    if (!setup_->given_outright()) {
      metadata["errata.as_of"] = to_string(setup_->plan.to);
    }
    peft::save_adapter(*result.adapter, adapter_directory(), metadata);
    facts_["adapter_sha256"] = sha256_file(adapter_directory() / "adapter_model.safetensors");
  }

  void evaluate(eval::Subject& subject, std::vector<eval::Task> tasks, peft::Adapter& adapter) {
    eval::EvaluateOptions options = evaluate_options();
    options.edited_hash = facts_["adapter_sha256"].get<std::string>();
    evaluation_ = eval::evaluate_before_after(
        subject, std::move(tasks), [&](bool on) { adapter.set_enabled(on); }, options);
  }

  void finish(const editing::EditResult& result) {
    const TrainReport& training = result.report.training;
    facts_["training"] = {
        {"steps", training.steps},
        {"tokens", training.tokens},
        {"seconds", training.seconds},
        {"loss", training.loss},
        {"trainable_parameters", training.trainable_parameters},
        {"stopped_early", training.stopped_early},
        {"modules", result.report.modules}};
    if (!result.report.contexts.empty()) {
      facts_["training"]["contexts"] = result.report.contexts;
    }
    facts_["edits"] = setup_->plan.size();
    facts_["peak_rss_bytes"] = peak_rss_bytes();
    if (!options_.no_eval) {
      OrderedJson run = {{"run_id", directory_->run_id()}};
      run["options"] = resolved_options(*setup_, options_, common_);
      run.update(facts_);
      results_ = eval::write_results(directory_->path(), evaluation_, run);
    }
    record();
    directory_->write_run(facts_, "done");
    fs::remove_all(directory_->checkpoint());
    print(training);
  }

  // So that `store blame` can tell which adapters carry a fact.
  void record() {
    if (!setup_->store) {
      return;
    }
    editing::RunRecord run;
    run.id = directory_->run_id();
    run.method = setup_->editor.method;
    run.output = options_.out;
    run.model_sha256 = model_.hash;
    run.store_sha256 = setup_->source_hash;
    run.adapter_sha256 = facts_["adapter_sha256"].get<std::string>();
    run.seed = common_.seed;
    if (!setup_->given_outright()) {
      run.from = setup_->plan.from;
      run.to = setup_->plan.to;
    }
    run.config = resolved_options(*setup_, options_, common_).dump();
    run.metrics = results_.contains("metrics") ? results_["metrics"].dump() : "{}";
    run.edits = carried_edits();
    for (const editing::RunRecord& known : setup_->store->runs()) {
      if (known.id == run.id) { // a resumed run that was stopped after this point
        return;
      }
    }
    setup_->store->record_run(run);
  }

  // Edits of a set are named by it: every data set counts from 0.
  std::vector<datasets::Edit> carried_edits() const {
    std::vector<datasets::Edit> edits = setup_->plan.edits;
    for (const datasets::ExplicitEdit& given : setup_->plan.explicit_edits) {
      datasets::Edit& edit = edits.emplace_back();
      edit.id = editing::set_edit_id(setup_->set, given.id);
      edit.kind = given.target_true.empty() ? datasets::EditKind::kInjection
                                            : datasets::EditKind::kModification;
      edit.subject = given.subject;
      edit.relation = given.relation;
      if (!given.target_true.empty()) {
        edit.old_object = given.target_true;
      }
      edit.new_object = given.target_new;
      edit.effective = given.effective;
    }
    return edits;
  }

  fs::path adapter_directory() const { return directory_->path() / "adapter"; }

  OrderedJson result_json(const TrainReport& training) const {
    OrderedJson json = {
        {"run_id", directory_->run_id()},
        {"out", options_.out},
        {"adapter", adapter_directory().string()},
        {"edits", setup_->plan.size()}};
    json["metrics"] = results_.contains("metrics") ? results_["metrics"] : OrderedJson();
    json["seconds"] = training.seconds;
    json["edits_per_second"] =
        training.seconds > 0 ? static_cast<double>(setup_->plan.size()) / training.seconds : 0.0;
    json["peak_rss_bytes"] = facts_["peak_rss_bytes"];
    json["training"] = facts_["training"];
    return json;
  }

  void print(const TrainReport& training) {
    if (common_.json) {
      print_json(streams_.out, result_json(training));
      return;
    }
    std::ostream& out = streams_.out;
    out << plan_text(*setup_);
    if (!options_.no_eval) {
      out << '\n' << eval::results_table(results_) << '\n' << eval::examples_text(evaluation_);
    }
    char text[160];
    std::snprintf(
        text,
        sizeof text,
        "\n%s %lld parameters %s %lld steps in %.0f s (%.1f edits a second), peak %s\n",
        editing::solves(setup_->editor) ? "Solved for" : "Trained",
        static_cast<long long>(training.trainable_parameters),
        editing::solves(setup_->editor) ? "from values of" : "for",
        static_cast<long long>(training.steps),
        training.seconds,
        static_cast<double>(setup_->plan.size()) / std::max(training.seconds, 1e-9),
        megabytes(facts_["peak_rss_bytes"].get<std::int64_t>()).c_str());
    out << text << "Adapter    " << adapter_directory().string() << '\n';
    if (!options_.no_eval) {
      out << "Report     " << (directory_->path() / "report.html").string() << '\n';
    }
  }

  // What a finished run has to say, from its files.
  void print_finished() const {
    const fs::path file = directory_->path() / "results.json";
    const OrderedJson run =
        OrderedJson::parse(read_file(directory_->path() / "run.json"), nullptr, false);
    const OrderedJson results = fs::exists(file)
                                    ? OrderedJson::parse(read_file(file), nullptr, false)
                                    : OrderedJson::object();
    if (common_.json) {
      OrderedJson json = {
          {"run_id", directory_->run_id()},
          {"out", options_.out},
          {"adapter", adapter_directory().string()},
          {"edits", run.value("edits", std::int64_t{0})},
          {"metrics", results.contains("metrics") ? results["metrics"] : OrderedJson()}};
      if (run.contains("training")) {
        json["training"] = run["training"];
      }
      print_json(streams_.out, json);
      return;
    }
    streams_.out << "Run " << directory_->run_id() << " is finished; this is its result.\n\n"
                 << plan_text(*setup_) << '\n';
    if (results.contains("metrics")) {
      streams_.out << eval::results_table(results);
    }
    streams_.out << "\nAdapter    " << adapter_directory().string() << '\n';
    const fs::path report = directory_->path() / "report.html";
    if (fs::exists(report)) {
      streams_.out << "Report     " << report.string() << '\n';
    }
  }

  const EditBatchOptions& options_;
  const CommonOptions& common_;
  const Streams& streams_;
  ProgressCallback progress_;
  std::unique_ptr<EditSetup> setup_;
  std::unique_ptr<RunDirectory> directory_;
  Model model_;
  OrderedJson facts_ = OrderedJson::object();
  OrderedJson results_ = OrderedJson::object();
  eval::Evaluation evaluation_;
};

} // namespace

void edit_batch(
    const EditBatchOptions& options, const CommonOptions& common, const Streams& streams) {
  Run(options, common, streams).execute();
}

} // namespace errata::cli
