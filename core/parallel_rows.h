#pragma once

#include <cstdint>
#include <functional>

namespace errata {

/// Calls `work(begin, end)` on pieces of [0, rows), on LibTorch's threads where there are
/// `row_cost` numbers to touch in each row and enough in all to be worth it.
void parallel_rows(
    std::int64_t rows,
    std::int64_t row_cost,
    const std::function<void(std::int64_t, std::int64_t)>& work);

/// Calls `work(i)` for each i below `count`, on LibTorch's threads at the same time where it has
/// as many. An operator in it has that thread alone. Gradients are on or off as for the caller.
void side_by_side(std::int64_t count, const std::function<void(std::int64_t)>& work);

} // namespace errata
