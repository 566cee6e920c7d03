#include "core/base/error.h"
#include "eval/figure_text.h"
#include "eval/sweep_summary.h"

#include <algorithm>
#include <string_view>

namespace errata::eval {
namespace {

struct ColumnSpec {
  const char* path;
  const char* title;
  int block;
  bool pooled = false; ///< too few cases in one run to speak of a spread
};

constexpr ColumnSpec kColumns[] = {
    {"editing.reliability", "reliability", 0},
    {"editing.generalisation", "generalisation", 0},
    {"editing.new_facts", "new facts", 0},
    {"multihop.changed.cot", "changed, in steps", 0},
    {"multihop.changed.direct", "changed, at once", 0},
    {"locality.right", "unchanged facts", 1},
    {"locality.by_kind.same_relation.right", "same relation", 1, true},
    {"locality.by_kind.same_subject.right", "same subject", 1, true},
    {"locality.by_kind.related.right", "related", 1, true},
    {"locality.by_kind.other.right", "other", 1, true},
    {"locality.by_kind.inverse.right", "inverse", 1, true},
    {"locality.by_kind.probe.right", "probes", 1, true},
    {"multihop.unchanged.cot", "unchanged, in steps", 2},
    {"multihop.unchanged.direct", "unchanged, at once", 2},
    {"history.right", "past years", 2},
    {kTrainingSeconds, "training, s", 2}};

// "98.8 ± 0.4": the unit of seconds is a second, of everything else a percent.
std::string cell(const ColumnSpec& column, const std::optional<Spread>& over) {
  if (!over) {
    return "-";
  }
  const bool seconds = std::string_view(column.path) == kTrainingSeconds;
  const double unit = seconds ? 1 : 100;
  const char* form = seconds ? "%.0f" : "%.1f";
  std::string text = number_text(unit * (column.pooled ? over->pooled : over->mean), form);
  if (!column.pooled && over->sd) {
    text += " ± " + number_text(unit * *over->sd, form);
  }
  return text;
}

std::string runs_cell(const SweepRow& row) {
  const auto done = std::count_if(row.runs.begin(), row.runs.end(), [](const SweepRun& run) {
    return run.state == SweepRun::State::kDone;
  });
  const auto all = static_cast<std::ptrdiff_t>(row.runs.size());
  return done == all ? concat(done) : concat(done, " of ", all);
}

// '|' would end a cell of a Markdown table.
std::string escaped_bars(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) {
    text.insert(at, 1, '\\');
  }
  return text;
}

std::string markdown_line(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& each : cells) {
    line += concat(' ', escaped_bars(each), " |");
  }
  return line + '\n';
}

} // namespace

std::vector<SweepColumn> sweep_columns(const std::vector<SweepRow>& rows) {
  std::vector<SweepRow> all = {base_row(rows)};
  all.insert(all.end(), rows.begin(), rows.end());
  std::vector<SweepColumn> columns;
  for (const ColumnSpec& spec : kColumns) {
    SweepColumn column{spec.title, spec.block, {}};
    std::int64_t most = 0;
    for (const SweepRow& row : all) {
      const std::optional<Spread> over = spread(row, spec.path);
      most = std::max(most, over ? over->n : 0);
      column.cells.push_back(cell(spec, over));
    }
    if (spec.pooled) {
      column.title += concat(" (", most, ')');
    }
    if (most > 0) {
      columns.push_back(std::move(column));
    }
  }
  SweepColumn runs{"runs", 2, {}};
  for (const SweepRow& row : all) {
    runs.cells.push_back(runs_cell(row));
  }
  columns.push_back(std::move(runs));
  return columns;
}

std::string sweep_markdown(const std::vector<SweepRow>& rows) {
  const std::vector<SweepColumn> columns = sweep_columns(rows);
  std::vector<std::string> header = {""};
  for (const SweepColumn& column : columns) {
    header.push_back(column.title);
  }
  std::string text = markdown_line(header) + "|";
  for (std::size_t i = 0; i < header.size(); ++i) {
    text += "---|";
  }
  text += '\n';
  for (std::size_t line = 0; line <= rows.size(); ++line) {
    std::vector<std::string> cells = {line == 0 ? "before" : rows[line - 1].name};
    for (const SweepColumn& column : columns) {
      cells.push_back(column.cells[line]);
    }
    text += markdown_line(cells);
  }
  for (const std::string& failure : sweep_failures(rows)) {
    text += "\nFailed: " + failure + "\n";
  }
  return text;
}

} // namespace errata::eval
