#include "cli/command.h"
#include "cli/run_directory.h"
#include "core/base/date.h"
#include "core/base/json.h"
#include "core/base/resources.h"
#include "core/device.h"
#include "core/model.h"
#include "core/tokenizer_training.h"
#include "core/version.h"
#include "editing/plan/pretrain_documents.h"
#include "editing/pretrain.h"
#include "editing/store/edit_store.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <ostream>
#include <set>

namespace errata::cli {
namespace {

namespace fs = std::filesystem;

struct PretrainOptions {
  std::string store;
  std::string as_of;
  std::string out;
  std::vector<std::string> relations;
  editing::LabShape shape;
  editing::PretrainTraining training;
  std::string save_dtype = "bfloat16";
  bool resume = false;
};

OrderedJson identity_of(
    const PretrainOptions& options, const CommonOptions& common, const std::string& store_hash) {
  const auto& shape = options.shape;
  const auto& training = options.training;
  return {
      {"command", "pretrain"},
      {"as_of", options.as_of},
      {"store_sha256", store_hash},
      {"relations", options.relations},
      {"vocab", shape.vocab},
      {"hidden", shape.hidden},
      {"layers", shape.layers},
      {"intermediate", shape.intermediate},
      {"head_dim", shape.head_dim},
      {"tokens", training.tokens},
      {"dropout_share", training.dropout_share},
      {"dropout", training.dropout},
      {"lr", training.lr},
      {"dropout_lr", training.dropout_lr},
      {"batch_tokens", training.batch_tokens},
      {"save_dtype", options.save_dtype},
      {"dtype", common.dtype},
      {"device", common.device},
      {"seed", common.seed}};
}

OrderedJson report_json(const TrainReport& report) {
  return {
      {"steps", report.steps},
      {"tokens", report.tokens},
      {"seconds", report.seconds},
      {"loss", report.loss}};
}

// The vocabulary is trained anew by a resumed run: the same texts give the same bytes.
std::unique_ptr<Tokenizer> make_tokenizer(
    const editing::PretrainPlan& plan,
    const editing::Wordings& wordings,
    const PretrainOptions& options,
    const fs::path& directory) {
  constexpr std::size_t kTexts = 60'000;
  make_directories(directory);
  TokenizerTrainingOptions training;
  training.vocab_size = options.shape.vocab;
  train_tokenizer(
      editing::vocabulary_lines(plan, wordings, kTexts, options.training.seed),
      training,
      directory);
  return Tokenizer::load(directory);
}

editing::Knowledge load_selected(const editing::EditStore& store, const PretrainOptions& options) {
  editing::Knowledge knowledge = editing::load_knowledge(store);
  if (options.relations.empty()) {
    return knowledge;
  }
  const std::set<std::string> names(options.relations.begin(), options.relations.end());
  for (const std::string& name : names) {
    store.relation(name); // an unknown one is an error that names the nearest
  }
  return editing::select_relations(knowledge, names);
}

void pretrain(PretrainOptions options, const CommonOptions& common, const Streams& streams) {
  const Date day = parse_date(options.as_of, "--as-of");
  const torch::Device device = parse_device(common.device);
  const editing::EditStore store = editing::EditStore::open(options.store);
  const editing::Knowledge knowledge = load_selected(store, options);
  const editing::PretrainPlan plan = editing::make_pretrain_plan(knowledge, day);
  const editing::Wordings wordings(knowledge);
  DecoderConfig config = editing::lab_config(options.shape);

  RunDirectory run(
      options.out,
      options.resume ? RunDirectory::Mode::kResume : RunDirectory::Mode::kFresh,
      identity_of(options, common, store.content_hash()));
  const BuildInfo& build = build_info();
  OrderedJson facts = {
      {"versions",
       {{"errata", build.version}, {"commit", build.commit}, {"libtorch", build.libtorch}}},
      {"data", Json::parse(editing::summary_json(plan))}};
  if (run.finished()) {
    streams.err << run.path().string() << " is already trained\n";
    return;
  }
  run.write_run(facts, "running");

  options.training.seed = common.seed;
  options.training.checkpoint.directory = run.checkpoint();
  options.training.checkpoint.resume = options.resume;
  const fs::path tokenizer_directory = run.checkpoint() / "tokenizer";
  const auto tokenizer = make_tokenizer(plan, wordings, options, tokenizer_directory);
  options.training.context = {{"tokenizer", tokenizer->hash()}};

  torch::manual_seed(common.seed);
  config.vocab_size = tokenizer->vocab_size();
  Decoder model(config, torch::TensorOptions().device(device).dtype(torch::kFloat32));
  model->initialise();
  model->set_compute_dtype(parse_dtype(common.dtype, device));
  editing::PretrainReport report;
  try {
    report = editing::pretrain(
        model, *tokenizer, plan, wordings, options.training, common.progress_callback(streams));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) {
      run.write_run(facts, "interrupted");
    }
    throw;
  }

  save_model(run.path(), model, parse_dtype(options.save_dtype, device), tokenizer_directory);
  facts["training"] = {
      {"plain", report_json(report.plain)}, {"dropout", report_json(report.regularised)}};
  facts["parameters"] = report.plain.trainable_parameters;
  facts["peak_rss_bytes"] = peak_rss_bytes();
  run.write_run(facts, "done");
  fs::remove_all(run.checkpoint());

  OrderedJson result = {{"model", run.path().string()}, {"run_id", run.run_id()}};
  result.update(facts);
  if (common.json) {
    streams.out << result.dump(2) << '\n';
    return;
  }
  const double seconds = report.plain.seconds + report.regularised.seconds;
  streams.out << "Model      " << run.path().string() << "\nParameters "
              << report.plain.trainable_parameters << "\nLoss       " << report.plain.loss
              << " plain, " << report.regularised.loss << " with dropout\nTokens     "
              << report.plain.tokens + report.regularised.tokens << " in " << seconds << " s\n";
}

} // namespace

void add_pretrain(CLI::App& app, const Streams& streams) {
  auto options = std::make_shared<PretrainOptions>();
  CLI::App* command =
      app.add_subcommand("pretrain", "Trains a small Gemma-3 model on what a store knows on a day");
  command->footer(
      "Example:\n"
      "  errata pretrain --store world.db --as-of 2021-01-31 --out models/mine\n"
      "Interrupted? The same command with --resume goes on and gives the same bytes.");
  command->add_option("--store", options->store, "Edit store with facts and relations")->required();
  command->add_option("--as-of", options->as_of, "The day whose facts are learnt")->required();
  command->add_option("--out", options->out, "Directory of the new model")->required();
  command->add_option("--relations", options->relations, "Only these relations (default: all)")
      ->delimiter(',');
  command->add_flag("--resume", options->resume, "Continue an interrupted run");
  command
      ->add_option(
          "--checkpoint-every",
          options->training.checkpoint.every_seconds,
          "Seconds between kept states")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  auto& shape = options->shape;
  command->add_option("--vocab", shape.vocab, "Pieces of the vocabulary at most")
      ->capture_default_str();
  command->add_option("--hidden", shape.hidden, "Hidden size")->capture_default_str();
  command->add_option("--layers", shape.layers, "Layers")->capture_default_str();
  command->add_option("--intermediate", shape.intermediate, "MLP size; 0: four times --hidden")
      ->capture_default_str();
  command->add_option("--head-dim", shape.head_dim, "Size of a head")->capture_default_str();
  auto& training = options->training;
  command->add_option("--tokens", training.tokens, "Training tokens in all")->capture_default_str();
  command->add_option("--dropout-share", training.dropout_share, "Last share of them with dropout")
      ->capture_default_str();
  command->add_option("--dropout", training.dropout, "Residual dropout of that share")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  command->add_option("--lr", training.lr, "Peak rate")->capture_default_str();
  command->add_option("--dropout-lr", training.dropout_lr, "Peak rate of the dropout share")
      ->capture_default_str();
  command->add_option("--batch-tokens", training.batch_tokens, "Tokens a step")
      ->check(CLI::Range(64, 1'000'000))
      ->capture_default_str();
  command->add_option("--save-dtype", options->save_dtype, "Of the saved weights")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  const auto common = add_common(*command);
  command->callback([options, common, streams] { pretrain(*options, *common, streams); });
}

} // namespace errata::cli
