#include "core/base/json.h"
#include "eval/report.h"
#include "eval/report_parts.h"

#include <algorithm>

namespace errata::eval {
namespace {

std::string text_of(const OrderedJson& sample, const char* key) {
  const auto field = sample.find(key);
  return field != sample.end() && field->is_string() ? field->get<std::string>() : std::string();
}

std::string joined(const OrderedJson& texts) {
  std::string all;
  for (const OrderedJson& text : texts) {
    all += (all.empty() ? "" : " · ") + text.get<std::string>();
  }
  return all;
}

// As changed_tasks in results.h orders them: smaller is shown earlier.
int interest(const OrderedJson& sample) {
  const std::string part = text_of(sample, "part");
  const std::string suite = text_of(sample, "suite");
  if (part == "case") {
    return text_of(sample, "prompting") == "cot" ? 0 : 2;
  }
  return part == "reliability" ? 1 : suite == "locality" ? 3 : 4;
}

std::string entry(const char* name, const std::string& text) {
  return concat("<dt>", name, "</dt><dd>", escape_html(text), "</dd>\n");
}

std::string output_entry(const char* name, const OrderedJson& output) {
  if (output.is_null()) {
    return "";
  }
  std::string text = output.at("text").get<std::string>();
  text.erase(0, text.find_first_not_of(" \n"));
  if (output.at("ending").get<std::string>() == "length") {
    text += " … (did not stop)";
  }
  return entry(name, text.empty() ? "(nothing)" : text);
}

// The question without the form around it.
std::string headline(const OrderedJson& sample) {
  std::string text = text_of(sample, "prompt");
  if (text.rfind("Question: ", 0) == 0) {
    text.erase(0, 10);
  }
  return text.substr(0, text.find('\n'));
}

std::string example(const OrderedJson& sample) {
  std::string html = concat(
      "<details><summary>",
      escape_html(headline(sample)),
      "<span class=\"tag\">",
      escape_html(text_of(sample, "suite")),
      ", ",
      escape_html(text_of(sample, "part")),
      text_of(sample, "prompting") == "cot" ? ", in steps" : "",
      "</span></summary>\n<dl>\n");
  html += entry("expected", joined(sample.at("answers")));
  if (!sample.at("stale").empty()) {
    html += entry("old", joined(sample.at("stale")));
  }
  html += output_entry("before", sample.at("before"));
  html += output_entry("after", sample.at("after"));
  return html + entry("prompt", text_of(sample, "prompt")) + "</dl></details>\n";
}

} // namespace

std::string report_examples(
    const std::vector<OrderedJson>& samples,
    const std::string& verdict,
    const std::string& title,
    std::size_t limit) {
  std::vector<const OrderedJson*> chosen;
  for (const OrderedJson& sample : samples) {
    if (text_of(sample, "verdict") == verdict) {
      chosen.push_back(&sample);
    }
  }
  std::stable_sort(chosen.begin(), chosen.end(), [](const auto* a, const auto* b) {
    return interest(*a) < interest(*b);
  });
  std::string html = concat("<h2>", escape_html(title), " (", chosen.size(), ")</h2>\n");
  if (chosen.size() > limit) {
    html +=
        concat("<p class=\"soft\">The first ", limit, " of them; all are in samples.jsonl.</p>\n");
  }
  for (std::size_t i = 0; i < std::min(limit, chosen.size()); ++i) {
    html += example(*chosen[i]);
  }
  return chosen.empty() ? html + "<p class=\"soft\">None.</p>\n" : html;
}

} // namespace errata::eval
