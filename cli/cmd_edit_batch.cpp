#include "cli/config_file.h"
#include "cli/edit_batch.h"
#include "cli/rebuild.h"
#include "core/base/json.h"
#include "editing/plan/edit_documents.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

namespace errata::cli {
namespace {

void add_text_options(CLI::App& command, EditBatchOptions& options) {
  const std::string texts = "Training texts";
  const editing::AugmentOptions usual;
  command
      .add_option(
          "--augment",
          options.augment,
          concat(
              "all, none, or a list of ",
              editing::to_string(usual),
              " (default: all; none for ft-locft, --set and --edits)"))
      ->group(texts);
  command
      .add_option(
          "--rehearsal-ratio",
          options.rehearsal_ratio,
          concat("Rehearsal texts per edit text (default ", usual.rehearsal_ratio, ')'))
      ->check(CLI::Range(0.0, 100.0))
      ->group(texts);
  command
      .add_option(
          "--ripple-ratio",
          options.ripple_ratio,
          concat("Multi-hop texts through edits per edit text (default ", usual.ripple_ratio, ')'))
      ->check(CLI::Range(0.0, 100.0))
      ->group(texts);
  command
      .add_option(
          "--echo-ratio",
          options.echo_ratio,
          concat(
              "Texts of the base's own answers to open questions, per edit text (default ",
              usual.echo_ratio,
              ')'))
      ->check(CLI::Range(0.0, 100.0))
      ->group(texts);
  command
      .add_option(
          "--rehearsal-share",
          options.rehearsal_share,
          "Share of unchanged facts it may use; the rest measures locality")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group(texts);
  command
      .add_option(
          "--stats-text",
          options.stats_text,
          "A text file of what must stay (repeatable): what memit, alphaedit, rome, --null-space\n"
          "and --init eva measure, in the place of the store's unchanged facts")
      ->group(texts);
  command.add_option("--fold", options.fold, "Which unchanged facts are held out")
      ->capture_default_str()
      ->group(texts);
}

} // namespace

void add_edit_batch_options(CLI::App& command, EditBatchOptions& options) {
  command.add_option("--model", options.model, "Model directory (HF layout)")->required();
  command.add_option("--store", options.store, "Edit store");
  command.add_option("--from", options.from, "Day whose facts the model knows");
  command.add_option("--to", options.to, "Day whose facts it shall know");
  command.add_option(
      "--set", options.set, "Instead of days: a set of the store (CounterFact, MQuAKE, ...)");
  command.add_option("--edits", options.edits, "Instead of a store: edits as JSON lines");
  command.add_option(
      "--without",
      options.without,
      "Id of an edit to leave out (repeatable): makes the recorded run that carries it anew, with "
      "its options and without the edit; --model, --store and --out may be said anew");
  command.add_option(
      "--run", options.run, "With --without: this run instead of the last that carries the edit");
  command
      .add_option(
          "--batches",
          options.batches,
          "Cut the difference of the days into batches that end with each month or year and write "
          "them one after the other into one adapter; the figures are those of the whole. once: "
          "all together, judged by the same questions")
      ->check(CLI::IsMember({"once", "yearly", "monthly"}));
  command.add_option("--out", options.out, "Run directory");
  command.add_flag("--dry-run", options.dry_run, "Print the plan and stop");
  command.add_flag("--resume", options.resume, "Continue the run in --out");

  command.add_option("--checkpoint-every", options.checkpoint_every, "Seconds between kept states")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  add_text_options(command, options);
  add_editor_flags(command, options.editor);
  const std::string judging = "Evaluation";
  command.add_flag("--no-eval", options.no_eval, "Train only")->group(judging);
  add_question_options(command, options.questions, "editing,locality,multihop,history", judging);
}

EditBatchOptions parse_edit_batch_options(const Json& options, const std::string& where) {
  EditBatchOptions parsed;
  CLI::App command;
  command.set_help_flag();
  add_edit_batch_options(command, parsed);
  std::vector<std::string> arguments = option_arguments(command, options, where);
  std::reverse(arguments.begin(), arguments.end()); // as CLI11 takes them
  try {
    command.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    ERRATA_FAIL(ErrorCode::kInvalidArgument, where, ": ", error.what());
  }
  return parsed;
}

void add_edit_batch(CLI::App& app, const Streams& streams) {
  auto options = std::make_shared<EditBatchOptions>();
  CLI::App* command = app.add_subcommand(
      "edit-batch", "Writes edits into a model as an adapter; measures before and after");
  command->footer(concat(
      "Examples:\n"
      "  errata edit-batch --model models/lab --store world.db --from 2021-01-31 \\\n"
      "    --to 2026-01-22 --out out/2026            everything that changed between two days\n"
      "  errata edit-batch --model DIR --store s.db --set counterfact --out out/cf\n"
      "                                              an imported set (errata store import)\n"
      "  errata edit-batch --model DIR --edits edits.jsonl --out out/mine\n"
      "                                              edits given by their prompts\n"
      "  errata edit-batch ... --dry-run             what would be edited, and in which modules\n"
      "  errata edit-batch --store world.db --without e-0123456789abcdef --out out/undone\n"
      "                                              the run that carries this edit, without it\n"
      "Ctrl-C keeps the state; the same command with --resume goes on and gives the same "
      "bytes.\n\n",
      editor_help()));
  add_edit_batch_options(*command, *options);
  command->get_option("--model")->required(false); // a recorded run knows it
  const auto common = add_common(*command);
  command->callback([command, options, common, streams] {
    ERRATA_CHECK(
        options->run.empty() || !options->without.empty(),
        ErrorCode::kInvalidArgument,
        "--run names a recorded run to make anew; it needs --without");
    if (!options->without.empty()) {
      use_recorded_run(*command, *options, *common);
    }
    ERRATA_CHECK(!options->model.empty(), ErrorCode::kInvalidArgument, "--model is required");
    edit_batch(*options, *common, streams);
  });
}

} // namespace errata::cli
