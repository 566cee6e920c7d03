#include "cli/output.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <ostream>

namespace errata::cli {

void print_json(std::ostream& out, const OrderedJson& value) {
  out << value.dump(2, ' ', false, OrderedJson::error_handler_t::replace) << '\n';
}

std::string megabytes(std::int64_t bytes) {
  return concat((bytes + 500'000) / 1'000'000, " MB");
}

std::string joined(const std::vector<std::string>& texts) {
  std::string result;
  for (const std::string& text : texts) {
    result += (result.empty() ? "" : ", ") + text;
  }
  return result;
}

} // namespace errata::cli
