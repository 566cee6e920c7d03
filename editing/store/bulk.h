#pragma once

// For the .cpp files of this folder: what makes a large import fast.

#include <cstdint>

namespace errata::editing {

class Database;

/// Takes away the indices of `facts` that adding facts does not need, and gives SQLite memory for
/// the others. Inside a transaction; its rollback brings them back.
void drop_search_indices(Database& database);
/// Makes them again: sorting all rows once costs far less than finding the place of each.
void make_search_indices(Database& database);

/// Decides within a change when that pays.
class BulkWriting {
 public:
  /// To be called with each new fact.
  void count(Database& database);
  /// Before the commit.
  void finish(Database& database);
  /// After a rollback.
  void forget() noexcept;

 private:
  std::int64_t facts_ = 0;
  std::int64_t worth_it_ = 0; ///< so many; 0: not worked out yet
  bool dropped_ = false;
};

} // namespace errata::editing
