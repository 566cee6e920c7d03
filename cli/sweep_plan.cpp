#include "cli/sweep_plan.h"

#include "cli/config_file.h"
#include "core/base/did_you_mean.h"
#include "core/base/json.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace errata::cli {
namespace {

// Decided by the sweep for every run.
constexpr std::array<std::string_view, 6> kOfTheSweep = {
    "out", "seed", "resume", "dry-run", "no-eval", "run"};
// These decide what is asked: a table compares answers to the same questions only.
constexpr std::array<std::string_view, 14> kOfAllRows = {
    "model",
    "store",
    "edits",
    "from",
    "to",
    "set",
    "without",
    "fold",
    "rehearsal-share",
    "suite",
    "prompting",
    "wordings",
    "limit",
    "development"};

template <std::size_t kSize>
bool among(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct RowText {
  std::string name;
  Json options;
};

Json object_field(const JsonFields& fields, std::string_view name) {
  const Json* value = fields.find(name);
  if (value == nullptr) {
    return Json::object();
  }
  ERRATA_CHECK(
      value->is_object(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' must be an object of long option names and values");
  return *value;
}

const Json& array_field(const JsonFields& fields, std::string_view name, const Json& fallback) {
  const Json* value = fields.find(name);
  if (value == nullptr) {
    return fallback;
  }
  ERRATA_CHECK(
      value->is_array(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": field '",
      name,
      "' must be a list");
  ERRATA_CHECK(
      !value->empty(),
      ErrorCode::kInvalidArgument,
      fields.where(),
      ": field '",
      name,
      "' is empty; expected at least one entry");
  return *value;
}

std::vector<std::uint64_t> counts(const JsonFields& fields, std::string_view name) {
  static const Json kNone = Json::array();
  std::vector<std::uint64_t> values;
  for (const Json& value : array_field(fields, name, kNone)) {
    ERRATA_CHECK(
        value.is_number_unsigned(),
        ErrorCode::kCorrupt,
        fields.where(),
        ": field '",
        name,
        "' has ",
        value.dump(),
        "; expected whole numbers from 0");
    values.push_back(value.get<std::uint64_t>());
  }
  return values;
}

std::vector<SweepPlan::Repeat> read_repeats(const JsonFields& fields) {
  std::vector<std::uint64_t> seeds = counts(fields, "seeds");
  const std::vector<std::uint64_t> folds = counts(fields, "folds");
  if (seeds.empty()) {
    seeds.push_back(0);
  }
  ERRATA_CHECK(
      std::set<std::uint64_t>(seeds.begin(), seeds.end()).size() == seeds.size(),
      ErrorCode::kInvalidArgument,
      fields.where(),
      ": field 'seeds' has a seed twice");
  ERRATA_CHECK(
      folds.empty() || folds.size() == seeds.size(),
      ErrorCode::kInvalidArgument,
      fields.where(),
      ": ",
      seeds.size(),
      " seeds and ",
      folds.size(),
      " folds; expected one fold for each seed");
  std::vector<SweepPlan::Repeat> repeats;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    repeats.push_back({seeds[i], folds.empty() ? 0 : folds[i]});
  }
  return repeats;
}

std::string value_text(const Json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (!value.is_array()) {
    return value.dump();
  }
  std::string list;
  for (const Json& element : value) {
    list += (list.empty() ? "" : ",") + value_text(element);
  }
  return list;
}

// One row a combination: "lora rank=8", "lora rank=16".
std::vector<RowText> expand_grid(RowText row, const JsonFields& fields) {
  const Json grid = object_field(fields, "grid");
  const JsonFields axes(grid, fields.where() + ": grid");
  std::vector<RowText> rows = {std::move(row)};
  for (const auto& [option, unused] : grid.items()) {
    ERRATA_CHECK(
        !rows.front().options.contains(option),
        ErrorCode::kInvalidArgument,
        axes.where(),
        ": '",
        option,
        "' stands in options too; give it once");
    std::vector<RowText> crossed;
    for (const RowText& each : rows) {
      for (const Json& value : array_field(axes, option, grid)) {
        crossed.push_back({concat(each.name, ' ', option, '=', value_text(value)), each.options});
        crossed.back().options[option] = value;
      }
    }
    rows = std::move(crossed);
  }
  return rows;
}

void check_row_name(const std::string& name, const std::string& where) {
  const bool plain = std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || static_cast<unsigned char>(c) < 0x20;
  });
  ERRATA_CHECK(
      plain && !name.empty() && name.front() != '.' && name.size() <= 200 && name != "before",
      ErrorCode::kInvalidArgument,
      where,
      " names a folder and a line of the table; expected 1 to 200 bytes without '/', no '.' in "
      "front, and not 'before', which is the untouched base");
}

std::vector<RowText> read_rows(const JsonFields& fields) {
  static const Json kNone = Json::array();
  std::vector<RowText> rows;
  for (const Json& entry : array_field(fields, "rows", kNone)) {
    const JsonFields unnamed(entry, concat(fields.where(), ": row ", rows.size() + 1));
    const auto name = unnamed.required<std::string>("name");
    const JsonFields row(entry, concat(fields.where(), ": row '", name, "'"));
    row.reject_unknown({"name", "options", "grid"});
    for (RowText& each : expand_grid({name, object_field(row, "options")}, row)) {
      check_row_name(each.name, concat(fields.where(), ": row '", each.name, "'"));
      rows.push_back(std::move(each));
    }
  }
  ERRATA_CHECK(
      !rows.empty(),
      ErrorCode::kInvalidArgument,
      fields.where(),
      ": field 'rows' is missing; expected a list of {\"name\", \"options\"}");
  return rows;
}

void check_option_names(const RowText& row, const std::string& where) {
  for (const auto& [option, unused] : row.options.items()) {
    ERRATA_CHECK(
        !among(kOfAllRows, option),
        ErrorCode::kInvalidArgument,
        where,
        ": '",
        option,
        "' decides what is asked and must be the same for all rows; put it into defaults");
  }
}

// As the command line of edit-batch, with its checks.
EditBatchOptions parse_options(const Json& options, const std::string& where) {
  for (const auto& [option, unused] : options.items()) {
    ERRATA_CHECK(
        !among(kOfTheSweep, option),
        ErrorCode::kInvalidArgument,
        where,
        ": '",
        option,
        "' is set by the sweep for each run; remove it",
        option == "seed" ? " and give 'seeds' beside 'rows'" : "");
  }
  return parse_edit_batch_options(options, where);
}

} // namespace

SweepPlan read_sweep_plan(
    const std::filesystem::path& file, const std::map<std::string, std::string>& given) {
  const Json document = read_json(file);
  const JsonFields fields(document, file.string());
  fields.reject_unknown({"defaults", "seeds", "folds", "rows"});
  Json defaults = object_field(fields, "defaults");
  for (const auto& [option, value] : given) {
    defaults[option] = value;
  }
  SweepPlan plan;
  plan.repeats = read_repeats(fields);
  std::set<std::string> names;
  for (const RowText& row : read_rows(fields)) {
    const std::string where = concat(file.string(), ": row '", row.name, "'");
    ERRATA_CHECK(
        names.insert(row.name).second,
        ErrorCode::kInvalidArgument,
        where,
        " is there twice; give each row a name of its own");
    check_option_names(row, where);
    Json options = defaults;
    options.update(row.options);
    plan.rows.push_back({row.name, parse_options(options, where)});
  }
  if (!fields.has("folds")) {
    for (SweepPlan::Repeat& repeat : plan.repeats) {
      repeat.fold = plan.rows.front().options.fold;
    }
  }
  ERRATA_CHECK(
      !fields.has("folds") || !defaults.contains("fold"),
      ErrorCode::kInvalidArgument,
      file.string(),
      ": 'folds' and 'fold' in defaults are both given; give one of them");
  return plan;
}

void keep_rows(SweepPlan& plan, const std::vector<std::string>& names) {
  if (names.empty()) {
    return;
  }
  std::vector<SweepPlan::Row> kept;
  std::vector<std::string> known;
  std::set<std::string> found;
  for (SweepPlan::Row& row : plan.rows) {
    known.push_back(row.name);
    bool wanted = false;
    for (const std::string& name : names) {
      if (row.name == name || row.name.starts_with(name + ' ')) {
        found.insert(name);
        wanted = true;
      }
    }
    if (wanted) {
      kept.push_back(std::move(row));
    }
  }
  for (const std::string& name : names) {
    ERRATA_CHECK(
        found.contains(name),
        ErrorCode::kInvalidArgument,
        "--only: the plan has no row '",
        name,
        "'",
        did_you_mean(name, known));
  }
  plan.rows = std::move(kept);
}

} // namespace errata::cli
