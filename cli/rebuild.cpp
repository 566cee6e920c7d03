#include "cli/rebuild.h"

#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "editing/store/edit_store.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <set>

namespace errata::cli {
namespace {

// May be said anew; all else that makes an adapter is as it was.
constexpr std::array<std::string_view, 10> kSaidAnew = {
    "without",
    "run",
    "model",
    "store",
    "out",
    "dry-run",
    "no-eval",
    "resume",
    "checkpoint-every",
    "help"};
// In a run's configuration, and no options of edit-batch.
constexpr std::array<std::string_view, 8> kNoOptions = {
    "command",
    "source_sha256",
    "stats_text_sha256",
    "micro-tokens",
    "loss-mean",
    "seed",
    "device",
    "dtype"};

template <std::size_t kSize>
bool listed(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool given_on_command_line(const CLI::App& command, const std::string& name) {
  const CLI::Option* option = command.get_option_no_throw("--" + name);
  return option != nullptr && option->count() > 0;
}

void refuse_other_options(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_lnames().empty() ? "" : option->get_lnames().front();
    ERRATA_CHECK(
        option->count() == 0 || option->get_group() == "Common" || listed(kSaidAnew, name),
        ErrorCode::kInvalidArgument,
        "--without makes a recorded run anew with that run's own options; leave out --",
        name);
  }
}

editing::RunRecord recorded_run(const editing::EditStore& store, const EditBatchOptions& options) {
  const editing::RunRecord run =
      options.run.empty() ? store.last_run_with(options.without.front()) : store.run(options.run);
  for (const std::string& id : options.without) {
    ERRATA_CHECK(
        std::any_of(
            run.edits.begin(),
            run.edits.end(),
            [&](const datasets::Edit& edit) { return edit.id == id; }),
        ErrorCode::kInvalidArgument,
        options.store,
        ": run '",
        run.id,
        "' carries no edit '",
        id,
        "'; 'errata store runs ",
        run.id,
        "' lists those it carries");
  }
  return run;
}

// What the run read and what there is now may differ: said, and what is there is used.
void say_what_changed(
    const editing::EditStore& store,
    const editing::RunRecord& run,
    const EditBatchOptions& options,
    const JsonFields& config) {
  if (store.content_hash() != run.store_sha256) {
    log(LogLevel::kInfo,
        concat(options.store, " has changed since that run; what it says today is written"));
  }
  const auto hashes = config.optional("stats_text_sha256", std::vector<std::string>());
  for (std::size_t i = 0; i < std::min(hashes.size(), options.stats_text.size()); ++i) {
    const std::string& file = options.stats_text[i];
    if (sha256_file(file) != hashes[i]) {
      log(LogLevel::kInfo,
          concat(file, " has changed since that run; what it says today is measured"));
    }
  }
}

// Options that say nothing ("layers": "") are left out: the command line knows no empty value.
Json options_of(const Json& config) {
  Json options = Json::object();
  for (const auto& [name, value] : config.items()) {
    const bool says_nothing = (value.is_string() && value.get_ref<const std::string&>().empty()) ||
                              (value.is_array() && value.empty());
    if (!listed(kNoOptions, name) && !says_nothing) {
      options[name] = value;
    }
  }
  return options;
}

} // namespace

void use_recorded_run(const CLI::App& command, EditBatchOptions& options, CommonOptions& common) {
  ERRATA_CHECK(
      !options.store.empty(),
      ErrorCode::kInvalidArgument,
      "--without needs --store, where the run is recorded");
  refuse_other_options(command);
  const editing::EditStore store = editing::EditStore::open(options.store);
  const editing::RunRecord run = recorded_run(store, options);
  const std::string where = concat("run '", run.id, "' of ", options.store);
  const Json config = parse_json(run.config, where);
  const JsonFields fields(config, where);

  EditBatchOptions rebuilt = parse_edit_batch_options(options_of(config), where);
  rebuilt.store = options.store; // which may have moved since
  rebuilt.model = options.model.empty() ? rebuilt.model : options.model;
  rebuilt.out = options.out;
  rebuilt.dry_run = options.dry_run;
  rebuilt.no_eval = options.no_eval || !fields.has("suite");
  rebuilt.resume = options.resume;
  rebuilt.checkpoint_every = options.checkpoint_every;
  // What the run itself left out stays out.
  std::set<std::string> without(rebuilt.without.begin(), rebuilt.without.end());
  without.insert(options.without.begin(), options.without.end());
  rebuilt.without.assign(without.begin(), without.end());
  options = std::move(rebuilt);

  const auto restore = [&](const char* name, auto& value) {
    if (!given_on_command_line(command, name)) {
      value = fields.optional(name, value);
    }
  };
  restore("device", common.device);
  restore("dtype", common.dtype);
  restore("seed", common.seed);
  log(LogLevel::kInfo,
      concat("making run ", run.id, " anew without ", options.without.size(), " of its edits"));
  say_what_changed(store, run, options, fields);
}

} // namespace errata::cli
