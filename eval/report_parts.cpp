#include "eval/report_parts.h"

#include "core/base/json.h"
#include "eval/figure_text.h"
#include "eval/metric_names.h"
#include "eval/report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

namespace errata::eval {
namespace {

const OrderedJson* side(const OrderedJson& results, const char* name, std::string_view path) {
  return find_path(results.at("metrics"), concat(name, '.', path));
}

bool has_after(const OrderedJson& results) {
  return !results.at("metrics").at("after").is_null();
}

// The figure of the model that the run is about: after where there is one, else the base.
const OrderedJson* main_figure(const OrderedJson& results, std::string_view path) {
  return side(results, has_after(results) ? "after" : "before", path);
}

std::string card(const OrderedJson& results, std::string_view path, std::string_view what) {
  const OrderedJson* figure = main_figure(results, path);
  if (figure == nullptr) {
    return "";
  }
  std::string small = concat("of ", figure->at("n").get<std::int64_t>());
  if (const OrderedJson* base = side(results, "before", path); has_after(results) && base) {
    small = concat("before ", percent_text(base), " %, ", small);
  }
  return concat(
      "<div class=\"card\"><span class=\"what\">",
      escape_html(what),
      "</span><b>",
      percent_text(figure),
      " %</b><span>",
      small,
      "</span></div>\n");
}

std::string delta_cell(const OrderedJson& results, std::string_view path) {
  const OrderedJson* delta = side(results, "delta", path);
  if (delta == nullptr) {
    return "<td class=\"n\"></td><td class=\"n wide-only\"></td>";
  }
  const double points = 100 * delta->at("value").get<double>();
  // A falling rate of old answers is what one wants.
  const bool inverted = path.find("stale") != std::string_view::npos ||
                        path.find("pre_edit.") != std::string_view::npos;
  const char* colour = std::abs(points) < 0.05 ? "" : (points > 0) != inverted ? " up" : " down";
  return concat(
      "<td class=\"n",
      colour,
      "\">",
      number_text(points, "%+.1f"),
      "</td><td class=\"n wide-only\">",
      interval_text(delta, "%+.1f"),
      "</td>");
}

std::string p_value(const OrderedJson& results, std::string_view path) {
  const OrderedJson& tests = results.at("significance");
  const auto test = tests.is_object() ? tests.find(std::string(path)) : tests.end();
  if (!tests.is_object() || test == tests.end()) {
    return "";
  }
  const double p = test->at("p_holm").get<double>();
  return p < 0.001 ? "&lt; 0.001" : number_text(p, "%.3f");
}

std::string row(const OrderedJson& results, std::string_view path, const std::string& name) {
  const OrderedJson* figure = main_figure(results, path);
  if (figure == nullptr) {
    return "";
  }
  std::string html = concat("<tr><td>", escape_html(name), "</td>");
  if (has_after(results)) {
    html += concat("<td class=\"n\">", percent_text(side(results, "before", path)), "</td>");
  }
  html += concat(
      "<td class=\"n\"><b>",
      percent_text(figure),
      "</b></td><td class=\"n wide-only\">",
      interval_text(figure),
      "</td>");
  if (has_after(results)) {
    html += delta_cell(results, path);
    html += concat("<td class=\"n wide-only\">", p_value(results, path), "</td>");
  }
  return html + concat("<td class=\"n\">", figure->at("n").get<std::int64_t>(), "</td></tr>\n");
}

// Paths of all figures below `place`.
void figure_paths(
    const OrderedJson& place, const std::string& path, std::vector<std::string>& out) {
  if (!place.is_object()) {
    return;
  }
  if (place.contains("value") && place.contains("n")) {
    out.push_back(path);
    return;
  }
  for (const auto& [key, value] : place.items()) {
    figure_paths(value, path.empty() ? key : path + "." + key, out);
  }
}

// The named metrics in their order, then whatever else the results hold.
std::vector<std::string> paths_of(const OrderedJson& results) {
  std::vector<std::string> all;
  figure_paths(results.at("metrics").at(has_after(results) ? "after" : "before"), "", all);
  std::vector<std::string> paths;
  for (const MetricName& metric : metric_names()) {
    paths.emplace_back(metric.path);
  }
  for (const std::string& path : all) {
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) {
      paths.push_back(path);
    }
  }
  const auto suite = [](const std::string& path) { return path.substr(0, path.find('.')); };
  std::vector<std::string> order;
  for (const std::string& path : paths) {
    if (std::find(order.begin(), order.end(), suite(path)) == order.end()) {
      order.push_back(suite(path));
    }
  }
  std::stable_sort(paths.begin(), paths.end(), [&](const auto& a, const auto& b) {
    return std::find(order.begin(), order.end(), suite(a)) <
           std::find(order.begin(), order.end(), suite(b));
  });
  return paths;
}

// "by_kind.same_relation.right" for people.
std::string display_name(const std::string& path) {
  std::string name = metric_name(path);
  if (name == path) {
    name = path.substr(path.find('.') + 1);
    std::replace(name.begin(), name.end(), '.', ' ');
    std::replace(name.begin(), name.end(), '_', ' ');
  }
  return name;
}

std::string comparison_note(const OrderedJson& results) {
  std::set<std::string> groups;
  for (const OrderedJson& metric : results.at("protocol")) {
    groups.insert(metric.at("comparable_group").get<std::string>());
  }
  if (groups.size() < 2) {
    return "";
  }
  std::string html =
      concat("<p class=\"note\">These rows come from ", groups.size(), " ways of measuring:");
  for (const std::string& group : groups) {
    html += " <code>" + escape_html(group) + "</code>";
  }
  return html +
         ". Compare before with after in a row; compare rows, or another run, only where the way "
         "is "
         "the same.</p>\n";
}

OrderedJson chart(
    const OrderedJson& results,
    const std::string& title,
    const std::vector<std::pair<std::string, std::string>>& bars) {
  OrderedJson labels = OrderedJson::array();
  OrderedJson before = OrderedJson::array();
  OrderedJson after = OrderedJson::array();
  for (const auto& [label, path] : bars) {
    if (const OrderedJson* figure = main_figure(results, path)) {
      const OrderedJson* base = side(results, "before", path);
      labels.push_back(label);
      before.push_back(base == nullptr ? OrderedJson() : *base);
      after.push_back(*figure);
    }
  }
  if (labels.empty()) {
    return nullptr;
  }
  OrderedJson sets = OrderedJson::array();
  if (has_after(results)) {
    sets.push_back({{"name", "before"}, {"colour", "before"}, {"figures", std::move(before)}});
  }
  sets.push_back(
      {{"name", has_after(results) ? "after" : "base"},
       {"colour", "after"},
       {"figures", std::move(after)}});
  return {{"title", title}, {"labels", std::move(labels)}, {"sets", std::move(sets)}};
}

} // namespace

std::string report_cards(const OrderedJson& results) {
  return "<div class=\"cards\">\n" +
         card(results, "editing.reliability", "Edited facts, new wording") +
         card(results, "multihop.changed.cot", "Multi-hop answers that changed, in steps") +
         card(results, "multihop.unchanged.cot", "Multi-hop answers that stay, in steps") +
         card(results, "locality.kept_correct", "Unchanged facts still right") +
         card(results, "facts.single", "Facts, held-out wording") +
         card(results, "facts.inverse", "Facts the other way round") +
         card(results, "history.right", "Who held the office in a past year") + "</div>\n";
}

std::string report_table(const OrderedJson& results) {
  const bool both = has_after(results);
  std::string html = "<div class=\"scroll\"><table>\n<tr><th>right, in percent</th>";
  html += both ? "<th class=\"n\">before</th><th class=\"n\">after</th>"
                 "<th class=\"n wide-only\">95 % interval</th><th class=\"n\">change</th>"
                 "<th class=\"n wide-only\">95 % interval</th><th class=\"n wide-only\">p "
                 "(McNemar, Holm)</th>"
               : "<th class=\"n\">value</th><th class=\"n wide-only\">95 % interval</th>";
  html += "<th class=\"n\">n</th></tr>\n";
  std::string suite;
  for (const std::string& path : paths_of(results)) {
    const std::string text = row(results, path, display_name(path));
    if (text.empty()) {
      continue;
    }
    const std::string own = path.substr(0, path.find('.'));
    if (std::exchange(suite, own) != own) {
      html += concat("<tr class=\"group\"><th colspan=\"8\">", escape_html(own), "</th></tr>\n");
    }
    html += text;
  }
  return html + "</table></div>\n" + comparison_note(results);
}

OrderedJson report_charts(const OrderedJson& results) {
  OrderedJson charts = OrderedJson::object();
  const auto add = [&](const char* id, OrderedJson value) {
    if (!value.is_null()) {
      charts[id] = std::move(value);
    }
  };
  add("main",
      chart(
          results,
          "Main figures",
          {{"facts", "facts.single"},
           {"facts, inverse", "facts.inverse"},
           {"reliability", "editing.reliability"},
           {"generalisation", "editing.generalisation"},
           {"new facts", "editing.new_facts"},
           {"new, inverse", "editing.new_inverse"},
           {"changed, steps", "multihop.changed.cot"},
           {"changed, at once", "multihop.changed.direct"},
           {"unchanged, steps", "multihop.unchanged.cot"},
           {"unchanged, at once", "multihop.unchanged.direct"},
           {"locality", "locality.right"},
           {"past years", "history.right"}}));
  const std::string group = has_after(results) ? "changed" : "unchanged";
  add("hops",
      chart(
          results,
          "Multi-hop by number of facts",
          {{"2, in steps", "multihop.by_hops.2." + group + ".cot"},
           {"3, in steps", "multihop.by_hops.3." + group + ".cot"},
           {"2, at once", "multihop.by_hops.2." + group + ".direct"},
           {"3, at once", "multihop.by_hops.3." + group + ".direct"}}));
  add("edited_hop",
      chart(
          results,
          "Changed multi-hop by the hop that was edited, in steps",
          {{"first", "multihop.by_edited_hop.first.cot"},
           {"middle", "multihop.by_edited_hop.middle.cot"},
           {"last", "multihop.by_edited_hop.last.cot"}}));
  std::vector<std::pair<std::string, std::string>> kinds;
  if (const OrderedJson* places = main_figure(results, "locality.by_kind")) {
    for (const auto& item : places->items()) {
      std::string label = item.key();
      std::replace(label.begin(), label.end(), '_', ' ');
      kinds.emplace_back(label, "locality.by_kind." + item.key() + ".right");
    }
  }
  kinds.emplace_back("rehearsed", "locality.rehearsed.right");
  add("locality", chart(results, "Unchanged facts right, by nearness to the edits", kinds));
  return charts;
}

std::string report_canvases(const OrderedJson& charts) {
  std::string html = "<div class=\"charts\">\n";
  for (const auto& [id, chart] : charts.items()) {
    html += concat(
        "<div class=\"chart",
        id == "main" ? " wide" : "",
        "\"><h3>",
        escape_html(chart.at("title").get<std::string>()),
        "</h3><div class=\"plot\"><canvas id=\"",
        escape_html(id),
        "\" role=\"img\" aria-label=\"",
        escape_html(chart.at("title").get<std::string>()),
        "; the figures stand in the table\"></canvas></div></div>\n");
  }
  return html + "</div>\n";
}

std::string report_facts(const OrderedJson& facts) {
  std::string rows;
  const auto add = [&](const auto& self, const std::string& key, const OrderedJson& value) -> void {
    if (value.is_object()) {
      for (const auto& [name, inner] : value.items()) {
        self(self, key.empty() ? name : key + "." + name, inner);
      }
      return;
    }
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    rows += concat(
        "<tr><td class=\"key\">",
        escape_html(key),
        "</td><td class=\"value\">",
        escape_html(text),
        "</td></tr>\n");
  };
  add(add, "", facts);
  return rows.empty() ? "" : "<div class=\"scroll\"><table>\n" + rows + "</table></div>\n";
}

} // namespace errata::eval
