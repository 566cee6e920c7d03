#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/question_options.h"
#include "cli/run_directory.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/device.h"
#include "core/version.h"
#include "datasets/readers.h"
#include "editing/plan/edit_plan.h"
#include "editing/plan/pretrain_documents.h"
#include "editing/plan/wordings.h"
#include "editing/store/edit_store.h"
#include "eval/evaluate.h"
#include "eval/report.h"
#include "peft/adapter_source.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <ostream>

namespace errata::cli {
namespace {

namespace fs = std::filesystem;

struct EvalOptions {
  std::string store;
  std::string set;
  std::string edits;
  std::string from;
  std::string to;
  std::string as_of;
  std::string out;
  std::string stop = "eos";
  bool resume = false;
  QuestionOptions questions;
  double rehearsal_share = 0.8;
  std::uint64_t fold = 0;
  eval::Protocol protocol;
  std::int64_t bootstrap = 10'000;
};

// What is asked, and what the results say about where it came from.
struct Questions {
  std::vector<eval::Task> tasks;
  std::map<std::string, std::int64_t> excluded;
  std::string source_hash;
};

void check_source(const EvalOptions& options) {
  const bool days = !options.from.empty() && !options.to.empty();
  const bool one_day = !options.as_of.empty();
  if (!options.set.empty()) {
    ERRATA_CHECK(
        !options.store.empty() && options.edits.empty() && options.from.empty() &&
            options.to.empty() && !one_day,
        ErrorCode::kInvalidArgument,
        "--set goes with --store alone: with neither days nor --edits");
    return;
  }
  if (!options.edits.empty()) {
    ERRATA_CHECK(
        options.store.empty() && options.from.empty() && options.to.empty() && !one_day,
        ErrorCode::kInvalidArgument,
        "--edits stands alone: it goes with neither --store nor days");
    return;
  }
  ERRATA_CHECK(
      !options.store.empty() && days != one_day && options.from.empty() == options.to.empty(),
      ErrorCode::kInvalidArgument,
      "nothing to ask about: give --store with --from and --to, with --as-of or with --set, or "
      "--edits");
}

Questions make_questions(const EvalOptions& options) {
  const eval::TaskOptions tasks = task_options(options.questions);
  Questions questions;
  if (!options.edits.empty()) {
    const auto plan = editing::make_edit_plan(datasets::read_explicit_edits(options.edits));
    questions.tasks = eval::make_tasks(plan, tasks);
    questions.source_hash = sha256_file(options.edits);
    return questions;
  }
  const editing::EditStore store = editing::EditStore::open(options.store);
  questions.source_hash = store.content_hash();
  if (!options.set.empty()) {
    const editing::Knowledge vocabulary = editing::load_vocabulary(store);
    const auto plan = editing::make_set_plan(store, options.set);
    questions.tasks = eval::make_set_tasks(plan, vocabulary, editing::Wordings(vocabulary), tasks);
    questions.excluded = {{"dropped_cases", static_cast<std::int64_t>(plan.dropped_cases)}};
    return questions;
  }
  const editing::Knowledge knowledge = editing::load_knowledge(store);
  const editing::Wordings wordings(knowledge);
  if (!options.as_of.empty()) {
    const auto plan = editing::make_pretrain_plan(knowledge, parse_date(options.as_of, "--as-of"));
    questions.tasks = eval::make_tasks(plan, knowledge, wordings, tasks);
    return questions;
  }
  const Date from = parse_date(options.from, "--from");
  const Date to = parse_date(options.to, "--to");
  editing::PlanOptions plan_options;
  plan_options.rehearsal_share = options.rehearsal_share;
  plan_options.fold = options.fold;
  const auto plan =
      editing::make_edit_plan(knowledge, from, to, store.diff(from, to), plan_options);
  questions.tasks = eval::make_tasks(plan, knowledge, wordings, tasks);
  questions.excluded = {
      {"shared_aliases", static_cast<std::int64_t>(plan.shared_aliases)},
      {"dropped_cases", static_cast<std::int64_t>(plan.dropped_cases)}};
  return questions;
}

// Everything that decides the results, for run.json and for a resume.
OrderedJson resolved_options(
    const EvalOptions& options,
    const ModelOptions& model,
    const CommonOptions& common,
    const std::string& source_hash) {
  OrderedJson json = {{"command", "eval"}, {"model", model.model}, {"adapter", model.adapters}};
  if (!model.weights.empty()) {
    json["adapter-weight"] = model.weights;
  }
  if (!options.edits.empty()) {
    json["edits"] = options.edits;
  } else {
    json["store"] = options.store;
  }
  if (!options.set.empty()) {
    json["set"] = options.set;
  } else if (!options.as_of.empty()) {
    json["as-of"] = options.as_of;
  } else if (options.edits.empty()) {
    json["from"] = options.from;
    json["to"] = options.to;
    json["rehearsal-share"] = options.rehearsal_share;
    json["fold"] = options.fold;
  }
  json["source_sha256"] = source_hash;
  json["suite"] = options.questions.suite;
  json["prompting"] = options.questions.prompting;
  json["wordings"] = options.questions.wordings;
  json["limit"] = options.questions.limit;
  json["development"] = options.questions.development;
  json["protocol"] = eval::to_json(options.protocol);
  json["bootstrap"] = options.bootstrap;
  json["device"] = common.device;
  json["dtype"] = common.dtype;
  json["seed"] = common.seed;
  return json;
}

std::string adapters_hash(const ModelOptions& model) {
  Sha256 hash;
  for (const std::string& directory : model.adapters) {
    for (const fs::path& file : peft::find_adapter(directory).files()) {
      hash.update(sha256_file(file));
    }
  }
  for (const double weight : model.weights) {
    hash.update(concat("weight ", weight, "\n"));
  }
  return hash.hex_digest();
}

eval::Evaluation evaluate(
    AdaptedModel& adapted, std::vector<eval::Task> tasks, const eval::EvaluateOptions& options) {
  eval::Subject subject{adapted.model.decoder, require_tokenizer(adapted.model), adapted.model.eos};
  if (adapted.adapters.empty()) {
    return eval::evaluate_base(subject, std::move(tasks), options);
  }
  const auto set_edited = [&](bool on) {
    for (const auto& adapter : adapted.adapters) {
      adapter->set_enabled(on);
    }
  };
  return eval::evaluate_before_after(subject, std::move(tasks), set_edited, options);
}

// What the run works on, for run.json and results.json.
OrderedJson input_facts(const AdaptedModel& adapted, const std::string& adapter_hash) {
  const BuildInfo& build = build_info();
  OrderedJson facts;
  facts["versions"] = {
      {"errata", build.version}, {"commit", build.commit}, {"libtorch", build.libtorch}};
  facts["model_sha256"] = adapted.model.hash;
  facts["tokenizer_sha256"] = require_tokenizer(adapted.model).hash();
  if (!adapter_hash.empty()) {
    facts["adapter_sha256"] = adapter_hash;
  }
  facts["compute_dtype"] = dtype_name(adapted.model.decoder->compute_dtype());
  facts["threads"] = at::get_num_threads();
  return facts;
}

eval::EvaluateOptions evaluate_options(
    const EvalOptions& options,
    const CommonOptions& common,
    const AdaptedModel& adapted,
    const std::string& adapter_hash) {
  eval::EvaluateOptions evaluation;
  evaluation.protocol = options.protocol;
  evaluation.bootstrap.resamples = options.bootstrap;
  evaluation.bootstrap.seed = common.seed;
  evaluation.model_hash = adapted.model.hash;
  evaluation.edited_hash = adapter_hash;
  return evaluation;
}

// Writes the run directory around `evaluate`: an interrupted run says so and can be resumed.
OrderedJson evaluate_into(
    RunDirectory& directory,
    AdaptedModel& adapted,
    Questions questions,
    eval::EvaluateOptions options,
    const OrderedJson& identity,
    const OrderedJson& facts,
    eval::Evaluation& done) {
  options.cache = directory.checkpoint() / "answers";
  directory.write_run(facts, "running");
  try {
    done = evaluate(adapted, std::move(questions.tasks), options);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) {
      directory.write_run(facts, "interrupted");
    }
    throw;
  }
  OrderedJson run = identity;
  run.update(facts);
  OrderedJson results = eval::write_results(directory.path(), done, run);
  directory.write_run(facts, "done");
  eval::write_report(directory.path()); // again: the run is done now
  fs::remove_all(directory.checkpoint());
  return results;
}

void evaluate_model(
    const EvalOptions& options,
    const ModelOptions& model,
    const CommonOptions& common,
    const Streams& streams) {
  check_source(options);
  Questions questions = make_questions(options);
  const OrderedJson identity = resolved_options(options, model, common, questions.source_hash);
  std::unique_ptr<RunDirectory> directory;
  if (!options.out.empty()) {
    const auto mode = options.resume ? RunDirectory::Mode::kResume : RunDirectory::Mode::kFresh;
    directory = std::make_unique<RunDirectory>(options.out, mode, identity);
  }
  // Answers on disk are filed under the hash of the weights.
  AdaptedModel adapted = load_adapted_model(model, common, /*hash=*/true);
  const std::string adapter_hash = model.adapters.empty() ? std::string() : adapters_hash(model);
  const OrderedJson facts = input_facts(adapted, adapter_hash);
  eval::EvaluateOptions evaluation = evaluate_options(options, common, adapted, adapter_hash);
  evaluation.excluded = questions.excluded;
  evaluation.progress = common.progress_callback(streams);
  eval::Evaluation done;
  OrderedJson results;
  if (directory) {
    results =
        evaluate_into(*directory, adapted, std::move(questions), evaluation, identity, facts, done);
  } else {
    done = evaluate(adapted, std::move(questions.tasks), evaluation);
    OrderedJson run = identity;
    run.update(facts);
    results = eval::results_json(done, run);
  }
  if (common.json) {
    print_json(streams.out, results);
    return;
  }
  streams.out << eval::results_table(results) << '\n' << eval::examples_text(done);
  if (directory) {
    streams.out << "\nReport     " << (directory->path() / "report.html").string() << '\n';
  }
}

void add_source_options(CLI::App& command, EvalOptions& options) {
  command.add_option("--store", options.store, "Edit store");
  command.add_option("--from", options.from, "First day: what the base is expected to know");
  command.add_option("--to", options.to, "Second day: what the edited model is to know");
  command.add_option("--as-of", options.as_of, "Instead: one day, for a model without edits");
  command.add_option("--set", options.set, "Instead of days: a set of the store");
  command.add_option("--edits", options.edits, "Instead of a store: edits given outright (JSONL)");
  command.add_option("--out", options.out, "Run directory for results, samples and report");
  command.add_flag("--resume", options.resume, "Go on where an interrupted run stopped");
}

void add_questions(CLI::App& command, EvalOptions& options) {
  const std::string group = "Questions";
  add_question_options(
      command, options.questions, "editing,locality,multihop,history,facts", group);
  command
      .add_option(
          "--rehearsal-share", options.rehearsal_share, "As the edit run had it, for locality")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--fold", options.fold, "As the edit run had it, for locality")
      ->capture_default_str()
      ->group(group);
}

void add_protocol_options(CLI::App& command, EvalOptions& options) {
  const std::string group = "Protocol";
  command
      .add_option(
          "--stop", options.stop, "Where an answer ends: eos, or errata or locft (docs/metrics.md)")
      ->check(CLI::IsMember({"eos", "errata", "locft"}))
      ->capture_default_str()
      ->group(group);
  command
      .add_option(
          "--max-new-tokens", options.protocol.max_new_tokens_direct, "Of an answer at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->group(group);
  command
      .add_option(
          "--max-new-tokens-cot",
          options.protocol.max_new_tokens_reasoning,
          "Of an answer in steps")
      ->check(CLI::Range(1, 16384))
      ->capture_default_str()
      ->group(group);
  command.add_option("--bootstrap", options.bootstrap, "Resamples of an interval")
      ->check(CLI::Range(100, 1'000'000))
      ->capture_default_str()
      ->group(group);
}

} // namespace

void add_eval(CLI::App& app, const Streams& streams) {
  CLI::App* command = app.add_subcommand(
      "eval", "Asks a model, or a model before and after its edits, and measures the answers");
  command->footer(
      "Examples:\n"
      "  errata eval --model models/lab --store out/quickstart.db --as-of 2021-01-31\n"
      "  errata eval --model models/lab --adapter out/quickstart/adapter \\\n"
      "    --store out/quickstart.db --from 2021-01-31 --to 2026-01-22 --out out/eval");
  const auto common = add_common(*command);
  const auto model = add_model_options(*command);
  const auto options = std::make_shared<EvalOptions>();
  add_source_options(*command, *options);
  add_questions(*command, *options);
  add_protocol_options(*command, *options);
  command->callback([=] {
    options->protocol.stop = eval::parse_stop_rule(options->stop);
    evaluate_model(*options, *model, *common, streams);
  });
}

} // namespace errata::cli
