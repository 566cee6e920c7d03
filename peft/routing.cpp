#include "core/base/error.h"
#include "peft/adapter.h"

namespace errata::peft {

Routing route_adapters(std::vector<Adapter*> adapters, std::vector<std::int64_t> routes) {
  for (const std::int64_t route : routes) {
    ERRATA_CHECK(
        route < static_cast<std::int64_t>(adapters.size()),
        ErrorCode::kInvalidArgument,
        "route ",
        route,
        " of ",
        adapters.size(),
        " adapters; routes count from 0, negative ones are the base");
  }
  Routing routing;
  routing.routes = std::move(routes);
  routing.select = [adapters = std::move(adapters)](const std::vector<std::int64_t>& rows) {
    const torch::Tensor routes_of_rows = torch::tensor(rows, torch::kInt64);
    for (std::size_t k = 0; k < adapters.size(); ++k) {
      adapters[k]->select_rows(
          rows.empty() ? torch::Tensor()
                       : routes_of_rows.eq(static_cast<std::int64_t>(k)).nonzero().flatten());
    }
  };
  return routing;
}

} // namespace errata::peft
