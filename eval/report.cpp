#include "eval/report.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "eval/metric_names.h"
#include "eval/report_assets.h"
#include "eval/report_parts.h"

namespace errata::eval {
namespace {

constexpr std::size_t kExamples = 40; // of each kind in the page

// What the run says about itself in one line: model, days, number of edits.
std::string subtitle(const OrderedJson& results, const OrderedJson& run) {
  const auto text = [&](const char* path) -> std::string {
    for (const OrderedJson* source : {&run, &results.at("run")}) {
      for (const char* prefix : {"", "options."}) {
        const OrderedJson* value = find_path(*source, concat(prefix, path));
        if (value != nullptr && !value->is_structured()) {
          return value->is_string() ? value->get<std::string>() : value->dump();
        }
      }
    }
    return "";
  };
  std::vector<std::string> parts;
  if (const std::string model = text("model"); !model.empty()) {
    parts.push_back("model " + model);
  }
  if (!text("from").empty() && !text("to").empty()) {
    parts.push_back(text("from") + " to " + text("to"));
  } else if (!text("as-of").empty()) {
    parts.push_back("as of " + text("as-of"));
  }
  if (const std::string edits = text("edits"); !edits.empty()) {
    parts.push_back(edits + " edits");
  }
  parts.push_back(concat(results.at("tasks").get<std::int64_t>(), " questions"));
  parts.push_back(results.at("date").get<std::string>());
  std::string line;
  for (const std::string& part : parts) {
    line += (line.empty() ? "" : " · ") + part;
  }
  return line;
}

std::string protocol_line(const OrderedJson& results) {
  for (const OrderedJson& metric : results.at("protocol")) {
    if (metric.at("protocol") == "autoregressive") {
      return concat(
          "Free greedy generation, stop rule ",
          metric.at("stop").get<std::string>(),
          "; an answer is right when it equals an accepted one after normalisation (",
          metric.at("normalisation").get<std::string>(),
          "). Intervals: percentile bootstrap over cases, ",
          metric.at("ci").at("b").get<std::int64_t>(),
          " resamples. Figures over fewer than 30 cases have none.");
    }
  }
  return "";
}

} // namespace

std::string escape_html(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string script_json(const OrderedJson& value) {
  std::string result;
  for (const char c : value.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    if (c == '<') {
      result += "\\u003c"; // "</script>" and "<!--" would end or change the element
    } else {
      result += c;
    }
  }
  return result;
}

std::string report_html(
    const OrderedJson& results, const std::vector<OrderedJson>& samples, const OrderedJson& run) {
  const bool both = !results.at("metrics").at("after").is_null();
  const std::string title = both ? "Before and after the edits" : "What the model knows";
  const OrderedJson charts = report_charts(results);
  std::string html = concat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>errata: ",
      title,
      "</title>\n<style>\n",
      kReportCss,
      "</style>\n</head>\n<body>\n<h1>",
      title,
      "</h1>\n<p class=\"soft\">",
      escape_html(subtitle(results, run)),
      "</p>\n");
  html += report_cards(results);
  html += "<h2>Figures</h2>\n" + report_canvases(charts);
  html += "<h2>Table</h2>\n<p class=\"soft\">" + escape_html(protocol_line(results)) + "</p>\n";
  html += report_table(results);
  if (both) {
    html += report_examples(samples, "gained", "Gained: wrong before, right after", kExamples);
    html += report_examples(samples, "lost", "Lost: right before, wrong after", kExamples);
    html += report_examples(samples, "wrong", "Wrong before and after", kExamples);
  } else {
    html += report_examples(samples, "wrong", "Wrong answers", kExamples);
  }
  html += "<h2>Run</h2>\n" + report_facts(run.is_null() ? results.at("run") : run);
  html += concat(
      "<script type=\"application/json\" id=\"charts\">",
      script_json(charts),
      "</script>\n<script>\n",
      kChartJs,
      "\n</script>\n<script>\n",
      kReportJs,
      "</script>\n</body>\n</html>\n");
  return html;
}

void write_report(const std::filesystem::path& directory) {
  const auto parse = [](const std::filesystem::path& path) {
    return OrderedJson(OrderedJson::parse(read_file(path), nullptr, false));
  };
  require_directory(directory, "run directory");
  const OrderedJson results = parse(directory / "results.json");
  ERRATA_CHECK(
      results.is_object() && results.contains("errata_results"),
      ErrorCode::kCorrupt,
      (directory / "results.json").string(),
      ": expected the results of an errata evaluation");
  std::vector<OrderedJson> samples;
  read_json_lines(directory / "samples.jsonl", [&](const Json& value, std::int64_t) {
    samples.emplace_back(value);
  });
  OrderedJson run;
  if (std::filesystem::exists(directory / "run.json")) {
    run = parse(directory / "run.json");
  }
  try {
    write_file(directory / "report.html", report_html(results, samples, run));
  } catch (const nlohmann::json::exception& error) {
    ERRATA_FAIL(
        ErrorCode::kCorrupt, directory.string(), ": results cannot be shown: ", error.what());
  }
}

} // namespace errata::eval
