#include "editing/store/bulk.h"

#include "core/base/error.h"
#include "editing/store/database.h"
#include "editing/store/schema.h"

#include <algorithm>

namespace errata::editing {
namespace {

// Below this many the indices are written as fast as they could be made again.
constexpr std::int64_t kLeastFacts = 50'000;
// All facts are sorted again, not the new ones alone: there must be enough new ones.
constexpr std::int64_t kShareOfStore = 4;
constexpr const char* kUsualCache = "PRAGMA cache_size = -65536";
constexpr const char* kLargeCache = "PRAGMA cache_size = -262144";

} // namespace

void drop_search_indices(Database& database) {
  for (const SearchIndex& index : kSearchIndices) {
    database.execute(concat("DROP INDEX IF EXISTS ", index.name));
  }
  database.execute(kLargeCache);
}

void make_search_indices(Database& database) {
  for (const SearchIndex& index : kSearchIndices) {
    database.execute(concat("CREATE INDEX ", index.name, " ON facts ", index.columns));
  }
  database.execute(kUsualCache);
}

void BulkWriting::count(Database& database) {
  if (dropped_ || ++facts_ < kLeastFacts) {
    return;
  }
  if (worth_it_ == 0) {
    const std::int64_t stored = database.integer("SELECT coalesce(max(id), 0) FROM facts") - facts_;
    worth_it_ = std::max(kLeastFacts, stored / kShareOfStore);
  }
  if (facts_ >= worth_it_) {
    drop_search_indices(database);
    dropped_ = true;
  }
}

void BulkWriting::finish(Database& database) {
  if (dropped_) {
    make_search_indices(database);
  }
  forget();
}

void BulkWriting::forget() noexcept {
  *this = BulkWriting();
}

} // namespace errata::editing
