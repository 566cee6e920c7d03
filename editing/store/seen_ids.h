#pragma once

#include "editing/store/database.h"

#include <string_view>

namespace errata::editing {

/// The ids that one import has met. They are kept in a temporary file that SQLite makes and
/// removes, so that memory does not grow with them.
class SeenIds {
 public:
  SeenIds();

  void insert(std::string_view kind, std::string_view id);
  bool contains(std::string_view kind, std::string_view id);

 private:
  Database database_;
};

} // namespace errata::editing
