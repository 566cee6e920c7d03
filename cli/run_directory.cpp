#include "cli/run_directory.h"

#include "core/base/date.h"
#include "core/base/hash.h"
#include "core/base/json.h"

#include <unistd.h>
#include <utility>

namespace errata::cli {
namespace {

namespace fs = std::filesystem;

// The keys whose values differ, with both values, for the error message.
std::string differences(const Json& before, const Json& now) {
  std::string list;
  for (const auto& [key, value] : now.items()) {
    const Json old = before.value(key, Json());
    if (old != value) {
      list += concat(
          list.empty() ? "" : "; ", "'", key, "' was ", old.dump(), " and is now ", value.dump());
    }
  }
  return list.empty() ? "an option is missing now" : list;
}

std::string new_run_id(const OrderedJson& identity) {
  return sha256(concat(utc_now(), ::getpid(), identity.dump())).substr(0, 12);
}

// Of what is recorded in run.json.
std::optional<std::string> difference(const Json& run, const OrderedJson& identity) {
  const Json before = run.value("options", Json::object());
  const Json now(identity);
  return before == now ? std::nullopt : std::optional(differences(before, now));
}

} // namespace

std::optional<std::string> difference_of_options(
    const fs::path& path, const OrderedJson& identity) {
  const fs::path run_file = path / "run.json";
  if (!fs::exists(run_file)) {
    return {};
  }
  return difference(read_json(run_file), identity);
}

RunDirectory::RunDirectory(const fs::path& path, Mode mode, const OrderedJson& identity)
    : path_(path), identity_(std::make_unique<OrderedJson>(identity)), created_(!fs::exists(path)) {
  make_directories(path_);
  lock_ = std::make_unique<DirectoryLock>(path_);
  const fs::path run_file = path_ / "run.json";
  if (fs::exists(run_file)) {
    const Json run = read_json(run_file);
    const JsonFields fields(run, run_file.string());
    ERRATA_CHECK(
        mode == Mode::kResume,
        ErrorCode::kInvalidArgument,
        path_.string(),
        " already holds run ",
        fields.required<std::string>("run_id"),
        "; choose another --out, or --resume to continue it");
    const std::optional<std::string> other = difference(run, identity);
    ERRATA_CHECK(
        !other,
        ErrorCode::kInvalidArgument,
        run_file.string(),
        ": cannot resume with other options: ",
        other.value_or(""));
    run_id_ = fields.required<std::string>("run_id");
    started_ = fields.required<std::string>("started");
    finished_ = fields.required<std::string>("status") == "done";
  } else {
    run_id_ = new_run_id(identity);
    started_ = utc_now();
  }
  log_ = std::make_shared<std::ofstream>(path_ / "log.txt", std::ios::app);
  previous_sink_ = set_log_sink({});
  set_log_sink([file = log_, previous = previous_sink_](LogLevel level, std::string_view line) {
    *file << utc_now() << ' ' << line << '\n' << std::flush;
    previous(level, line);
  });
}

RunDirectory::~RunDirectory() {
  set_log_sink(previous_sink_);
  if (created_) {
    std::error_code ignored;
    for (const char* name : {"log.txt", ".lock", ""}) {
      fs::remove(path_ / name, ignored);
    }
  }
}

void RunDirectory::write_run(const OrderedJson& facts, const std::string& status) {
  OrderedJson run = {{"run_id", run_id_}, {"status", status}, {"started", started_}};
  if (status == "done") {
    run["finished"] = utc_now();
  }
  run["options"] = *identity_;
  run.update(facts);
  write_json(path_ / "run.json", run);
  created_ = false;
}

} // namespace errata::cli
