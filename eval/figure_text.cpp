#include "eval/figure_text.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <array>
#include <cstdio>

namespace errata::eval {

std::string number_text(double value, const char* form) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), form, value);
  return text.data();
}

std::string percent_text(const OrderedJson* figure) {
  return figure == nullptr ? "-" : number_text(100 * figure->at("value").get<double>());
}

std::string interval_text(const OrderedJson* figure, const char* form) {
  if (figure == nullptr || figure->at("ci95").is_null()) {
    return "";
  }
  const OrderedJson& bounds = figure->at("ci95");
  return concat(
      number_text(100 * bounds[0].get<double>(), form),
      " to ",
      number_text(100 * bounds[1].get<double>(), form));
}

} // namespace errata::eval
