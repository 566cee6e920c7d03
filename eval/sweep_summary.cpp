#include "eval/sweep_summary.h"

#include "core/base/date.h"
#include "core/base/json.h"
#include "core/version.h"

#include <cmath>
#include <set>

namespace errata::eval {
namespace {

void collect(const Json& place, const std::string& path, Figures& figures) {
  if (!place.is_object()) {
    return;
  }
  if (!place.contains("value") || !place.contains("n")) {
    for (const auto& [name, inner] : place.items()) {
      collect(inner, path.empty() ? name : concat(path, '.', name), figures);
    }
    return;
  }
  Figure figure{place.at("value").get<double>(), place.at("n").get<std::int64_t>(), {}, {}};
  if (place.contains("right")) {
    figure.right = place.at("right").get<std::int64_t>();
  }
  figures.emplace(path, figure);
}

const Figure* find_figure(const SweepRun& run, const std::string& path) {
  const auto found = run.after.find(path);
  return found == run.after.end() ? nullptr : &found->second;
}

const char* state_name(SweepRun::State state) {
  switch (state) {
    case SweepRun::State::kDone:
      return "done";
    case SweepRun::State::kFailed:
      return "failed";
    case SweepRun::State::kMissing:
      break;
  }
  return "missing";
}

template <typename T>
OrderedJson or_null(const std::optional<T>& value) {
  return value ? OrderedJson(*value) : OrderedJson();
}

OrderedJson figures_json(const SweepRow& row) {
  std::set<std::string> paths;
  for (const SweepRun& run : row.runs) {
    for (const auto& [path, unused] : run.after) {
      paths.insert(path);
    }
  }
  OrderedJson json = OrderedJson::object();
  for (const std::string& path : paths) {
    const Spread over = spread(row, path).value();
    OrderedJson values = OrderedJson::array();
    for (const SweepRun& run : row.runs) {
      const Figure* figure = find_figure(run, path);
      values.push_back(figure == nullptr ? OrderedJson() : OrderedJson(figure->value));
    }
    json[path] = {
        {"mean", over.mean},
        {"sd", or_null(over.sd)},
        {"runs", over.runs},
        {"pooled", over.pooled},
        {"n", over.n},
        {"right", or_null(over.right)},
        {"values", values}};
  }
  return json;
}

OrderedJson row_json(const SweepRow& row) {
  OrderedJson json = {{"name", row.name}, {"runs", OrderedJson::array()}};
  for (const SweepRun& run : row.runs) {
    OrderedJson entry = {{"seed", run.seed}, {"fold", run.fold}, {"state", state_name(run.state)}};
    if (run.state == SweepRun::State::kFailed) {
      entry["error"] = run.error;
    }
    json["runs"].push_back(entry);
  }
  json["figures"] = figures_json(row);
  return json;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"") == std::string::npos) {
    return text;
  }
  std::string result = "\"";
  for (const char c : text) {
    result += c == '"' ? "\"\"" : std::string(1, c);
  }
  return result + '"';
}

} // namespace

Figures read_figures(const nlohmann::json& metrics) {
  Figures figures;
  collect(metrics, "", figures);
  return figures;
}

SweepRow base_row(const std::vector<SweepRow>& rows) {
  SweepRow base{"before", {}};
  for (std::size_t i = 0; !rows.empty() && i < rows.front().runs.size(); ++i) {
    SweepRun run;
    run.seed = rows.front().runs[i].seed;
    run.fold = rows.front().runs[i].fold;
    for (const SweepRow& row : rows) {
      if (row.runs[i].state == SweepRun::State::kDone) {
        run.state = SweepRun::State::kDone;
        run.after = row.runs[i].before;
        break;
      }
    }
    base.runs.push_back(std::move(run));
  }
  return base;
}

std::optional<Spread> spread(const SweepRow& row, const std::string& path) {
  Spread over;
  over.right = 0;
  double observed = 0;
  for (const SweepRun& run : row.runs) {
    if (const Figure* figure = find_figure(run, path)) {
      ++over.runs;
      over.mean += figure->value;
      over.n += figure->n;
      // `value` is rounded in results.json; the count is not.
      observed += figure->right ? static_cast<double>(*figure->right)
                                : figure->value * static_cast<double>(figure->n);
      over.right =
          over.right && figure->right ? std::optional(*over.right + *figure->right) : std::nullopt;
    }
  }
  if (over.runs == 0) {
    return std::nullopt;
  }
  over.mean /= static_cast<double>(over.runs);
  over.pooled = over.n > 0 ? observed / static_cast<double>(over.n) : over.mean;
  if (over.runs > 1) {
    double squares = 0;
    for (const SweepRun& run : row.runs) {
      if (const Figure* figure = find_figure(run, path)) {
        squares += (figure->value - over.mean) * (figure->value - over.mean);
      }
    }
    over.sd = std::sqrt(squares / static_cast<double>(over.runs - 1));
  }
  return over;
}

std::vector<std::string> sweep_failures(const std::vector<SweepRow>& rows) {
  std::vector<std::string> lines;
  for (const SweepRow& row : rows) {
    for (const SweepRun& run : row.runs) {
      if (run.state == SweepRun::State::kFailed) {
        lines.push_back(concat(row.name, ", seed ", run.seed, ": ", run.error));
      }
    }
  }
  return lines;
}

nlohmann::ordered_json sweep_json(const std::vector<SweepRow>& rows) {
  OrderedJson json = {{"errata_sweep", 1}, {"date", utc_now()}, {"version", build_info().version}};
  json["rows"] = {row_json(base_row(rows))};
  for (const SweepRow& row : rows) {
    json["rows"].push_back(row_json(row));
  }
  return json;
}

std::string sweep_csv(const std::vector<SweepRow>& rows) {
  std::string lines = "row,seed,fold,figure,value,n,right\n";
  const auto add = [&](const SweepRow& row) {
    for (const SweepRun& run : row.runs) {
      for (const auto& [path, figure] : run.after) {
        lines += concat(quoted(row.name), ',', run.seed, ',', run.fold, ',', path, ',');
        lines += concat(figure.value, ',', figure.n, ',');
        lines += (figure.right ? concat(*figure.right) : std::string()) + '\n';
      }
    }
  };
  add(base_row(rows));
  for (const SweepRow& row : rows) {
    add(row);
  }
  return lines;
}

} // namespace errata::eval
