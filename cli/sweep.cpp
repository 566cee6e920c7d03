#include "cli/sweep.h"

#include "cli/edit_setup.h"
#include "cli/output.h"
#include "cli/run_directory.h"
#include "cli/sweep_plan.h"
#include "cli/text_table.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/interrupt.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/torch_error.h"
#include "eval/sweep_summary.h"

#include <filesystem>
#include <optional>
#include <ostream>
#include <sstream>

namespace errata::cli {
namespace {

namespace fs = std::filesystem;
using eval::SweepRow;
using eval::SweepRun;

// Stops at what can be known before anything is trained.
void check_rows(const SweepPlan& plan) {
  for (const SweepPlan::Row& row : plan.rows) {
    EditBatchOptions options = row.options;
    options.fold = plan.repeats.front().fold;
    try {
      require_directory(options.model, "model directory");
      prepare_edits(options, plan.repeats.front().seed);
    } catch (const Error& error) {
      throw Error(error.code(), concat("row '", row.name, "': ", error.what()));
    }
  }
}

void read_results(const fs::path& directory, SweepRun& run) {
  const Json facts = read_json(directory / "run.json");
  const Json results = read_json(directory / "results.json");
  const JsonFields fields(results, (directory / "results.json").string());
  run.tasks_hash = fields.required<std::string>("tasks_hash");
  const Json metrics = fields.required<Json>("metrics");
  run.before = eval::read_figures(metrics.at("before"));
  run.after = eval::read_figures(metrics.at("after"));
  run.after[eval::kTrainingSeconds] = {facts.at("training").at("seconds").get<double>(), 1, {}, {}};
}

class Sweep {
 public:
  Sweep(const SweepOptions& options, const CommonOptions& common, const Streams& streams)
      : options_(options),
        common_(common),
        streams_(streams),
        plan_(read_sweep_plan(options.plan, options.given)) {
    keep_rows(plan_, options.only);
    check_rows(plan_);
    for (const SweepPlan::Row& row : plan_.rows) {
      rows_.push_back({row.name, {}});
      for (const SweepPlan::Repeat& repeat : plan_.repeats) {
        rows_.back().runs.emplace_back();
        rows_.back().runs.back().seed = repeat.seed;
        rows_.back().runs.back().fold = repeat.fold;
      }
    }
  }

  void execute() {
    if (options_.dry_run) {
      print_plan();
      return;
    }
    ERRATA_CHECK(
        !options_.out.empty(), ErrorCode::kInvalidArgument, "--out is missing: where to write");
    make_directories(options_.out);
    const DirectoryLock lock(options_.out);
    // All rows with the first seed come first: a sweep that was stopped has a table to show.
    for (std::size_t repeat = 0; repeat < plan_.repeats.size(); ++repeat) {
      for (std::size_t row = 0; row < rows_.size(); ++row) {
        make(row, repeat);
        write();
      }
    }
    print();
    report_failures();
    fs::remove_all(answers());
  }

 private:
  fs::path answers() const { return fs::path(options_.out) / ".answers"; }

  fs::path directory(std::size_t row, std::size_t repeat) const {
    return fs::path(options_.out) / rows_[row].name / concat("seed-", plan_.repeats[repeat].seed);
  }

  void make(std::size_t row, std::size_t repeat) {
    SweepRun& run = rows_[row].runs[repeat];
    const std::string what = concat("row '", rows_[row].name, "', seed ", run.seed);
    log(LogLevel::kInfo,
        concat(
            what,
            ": run ",
            repeat * rows_.size() + row + 1,
            " of ",
            rows_.size() * plan_.repeats.size()));
    try {
      edit(row, repeat);
      read_results(directory(row, repeat), run);
      check_questions(row, repeat);
      run.state = SweepRun::State::kDone;
    } catch (const Error& error) {
      ERRATA_CHECK(
          error.code() != ErrorCode::kInterrupted,
          ErrorCode::kInterrupted,
          "stopped in ",
          what,
          "; what is done is kept, the same command goes on");
      fail(run, what, error.code(), error.what());
    } catch (const std::exception& error) {
      fail(run, what, ErrorCode::kInternal, torch_error_message(error).value_or(error.what()));
    }
  }

  void edit(std::size_t row, std::size_t repeat) {
    ERRATA_CHECK(!interrupted(), ErrorCode::kInterrupted, "stopped between two runs");
    std::ostringstream unread; // the run's own result is in its files
    edit_batch(options_of(row, repeat), common_of(repeat), {unread, streams_.err});
  }

  EditBatchOptions options_of(std::size_t row, std::size_t repeat) const {
    EditBatchOptions options = plan_.rows[row].options;
    options.fold = plan_.repeats[repeat].fold;
    options.out = directory(row, repeat).string();
    options.resume = true;
    options.base_answers = answers().string();
    return options;
  }

  CommonOptions common_of(std::size_t repeat) const {
    CommonOptions common = common_;
    common.seed = plan_.repeats[repeat].seed;
    return common;
  }

  /// What is in the folder of a run: "to do", what run.json says of itself, or "other options" and
  /// in which it differs.
  std::pair<std::string, std::string> state_of(std::size_t row, std::size_t repeat) const {
    const fs::path file = directory(row, repeat) / "run.json";
    if (options_.out.empty() || !fs::exists(file)) {
      return {"to do", ""};
    }
    const EditBatchOptions options = options_of(row, repeat);
    const CommonOptions common = common_of(repeat);
    const auto setup = prepare_edits(options, common.seed);
    const auto other =
        difference_of_options(file.parent_path(), resolved_options(*setup, options, common));
    if (other) {
      return {"other options", *other};
    }
    const Json json = read_json(file);
    return {JsonFields(json, file.string()).required<std::string>("status"), ""};
  }

  // Runs made by different versions may differ in what they ask.
  void check_questions(std::size_t row, std::size_t repeat) const {
    const SweepRun& run = rows_[row].runs[repeat];
    for (const SweepRow& other : rows_) {
      const SweepRun& same = other.runs[repeat];
      ERRATA_CHECK(
          same.state != SweepRun::State::kDone || same.tasks_hash == run.tasks_hash,
          ErrorCode::kInvalidArgument,
          directory(row, repeat).string(),
          ": asked other questions than row '",
          other.name,
          "'; remove the older of the two and run again");
    }
  }

  void fail(SweepRun& run, const std::string& what, ErrorCode code, const std::string& message) {
    run.state = SweepRun::State::kFailed;
    run.error = message;
    log(LogLevel::kInfo, concat(what, " failed: ", message));
    if (!first_failure_) {
      first_failure_.emplace(code, concat(what, ": ", message));
    }
  }

  void report_failures() const {
    ERRATA_CHECK(
        !first_failure_,
        first_failure_->code(),
        eval::sweep_failures(rows_).size(),
        " of ",
        rows_.size() * plan_.repeats.size(),
        " runs failed; the first, ",
        first_failure_->what());
  }

  void write() {
    const fs::path out = options_.out;
    written_ = eval::sweep_json(rows_);
    write_json(out / "sweep.json", written_);
    write_file(out / "sweep.csv", eval::sweep_csv(rows_));
    write_file(out / "table.md", eval::sweep_markdown(rows_));
  }

  void print() const {
    if (common_.json) {
      print_json(streams_.out, written_);
      return;
    }
    const std::vector<eval::SweepColumn> columns = eval::sweep_columns(rows_);
    for (int block = 0; block <= columns.back().block; ++block) {
      print_block(columns, block);
    }
    for (const std::string& failure : eval::sweep_failures(rows_)) {
      streams_.out << "Failed     " << failure << '\n';
    }
    streams_.out << "Table      " << (fs::path(options_.out) / "table.md").string() << '\n';
  }

  void print_block(const std::vector<eval::SweepColumn>& columns, int block) const {
    std::vector<std::string> header = {"percent right"};
    std::vector<std::vector<std::string>> lines = {{"before"}};
    for (const SweepRow& row : rows_) {
      lines.push_back({row.name});
    }
    for (const eval::SweepColumn& column : columns) {
      if (column.block != block) {
        continue;
      }
      header.push_back(column.title);
      for (std::size_t line = 0; line < lines.size(); ++line) {
        lines[line].push_back(column.cells[line]);
      }
    }
    if (header.size() == 1) {
      return;
    }
    TextTable table(header);
    for (const auto& line : lines) {
      table.add(line);
    }
    table.print(streams_.out);
    streams_.out << '\n';
  }

  void print_plan() const {
    TextTable table({"row", "seed", "fold", "state"});
    OrderedJson runs = OrderedJson::array();
    std::string others;
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      for (std::size_t repeat = 0; repeat < plan_.repeats.size(); ++repeat) {
        const auto [seed, fold] = plan_.repeats[repeat];
        const auto [state, difference] = state_of(row, repeat);
        table.add({rows_[row].name, concat(seed), concat(fold), state});
        runs.push_back(
            {{"row", rows_[row].name}, {"seed", seed}, {"fold", fold}, {"state", state}});
        if (!difference.empty()) {
          runs.back()["difference"] = difference;
          others += concat(directory(row, repeat).string(), ": ", difference, '\n');
        }
      }
    }
    if (common_.json) {
      print_json(streams_.out, {{"dry_run", true}, {"runs", runs}});
      return;
    }
    table.print(streams_.out);
    if (!others.empty()) {
      streams_.out << "\nOf other options; give the row another name or remove the folder:\n"
                   << others;
    }
  }

  const SweepOptions& options_;
  const CommonOptions& common_;
  const Streams& streams_;
  SweepPlan plan_;
  std::vector<SweepRow> rows_;
  OrderedJson written_; ///< sweep.json as it is on disk
  std::optional<Error> first_failure_;
};

} // namespace

void sweep(const SweepOptions& options, const CommonOptions& common, const Streams& streams) {
  Sweep(options, common, streams).execute();
}

} // namespace errata::cli
