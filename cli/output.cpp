#include "cli/output.h"

#include "core/base/json.h"

#include <ostream>

namespace errata::cli {

void print_json(std::ostream& out, const OrderedJson& value) {
  out << value.dump(2, ' ', false, OrderedJson::error_handler_t::replace) << '\n';
}

} // namespace errata::cli
