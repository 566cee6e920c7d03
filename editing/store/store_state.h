#pragma once

// For the .cpp files of this folder: what an EditStore holds, and look-ups that several parts use.

#include "editing/store/database.h"
#include "editing/store/edit_store.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace errata::editing {

struct SlotRow;

struct RelationRow {
  std::int64_t id = 0;
  bool functional = true;
};

struct EditStore::State {
  State(std::filesystem::path path, int flags, StoreOptions chosen)
      : database(std::move(path), flags, chosen.busy_timeout_ms), options(std::move(chosen)) {}

  Database database;
  StoreOptions options;

  // ---- the change in progress
  bool writing = false;
  std::string action;
  std::string note;
  /// Number of the change, 0 until something is different: a change without effect leaves no trace.
  std::int64_t change = 0;

  void begin(std::string_view what, std::string_view why);
  std::int64_t commit();
  void roll_back() noexcept;
  /// The number of the change in progress, taken now if need be.
  std::int64_t require_change();

  /// Runs `work` inside the change in progress, or as a change of its own.
  template <typename Work>
  auto write(std::string_view what, std::string_view why, Work&& work) {
    const bool own = !writing;
    if (own) {
      begin(what, why);
    } else {
      database.execute("SAVEPOINT step");
    }
    const std::int64_t change_before = change;
    try {
      auto result = std::forward<Work>(work)();
      if (own) {
        commit();
      } else {
        database.execute("RELEASE step");
      }
      return result;
    } catch (...) {
      if (own) {
        roll_back();
      } else {
        undo_step(change_before);
      }
      throw;
    }
  }

  // ---- look-ups
  std::optional<std::int64_t> entity_id(std::string_view name);
  std::int64_t require_entity(std::string_view name);  ///< added when it is new
  RelationRow require_relation(std::string_view name); ///< throws with the nearest name
  std::int64_t require_set(std::string_view name);     ///< added when it is new
  /// Brings a set up to date with `records`; returns how many were new or different.
  template <typename Record, typename KindOfRecord>
  std::int64_t put_set(
      const KindOfRecord& kind, std::string_view set, std::span<const Record> records);
  /// Current facts that fit; throws when there are none.
  std::vector<SlotRow> require_matching(const FactKey& key);
  void require_known(std::optional<std::int64_t> known);

 private:
  void undo_step(std::int64_t change_before) noexcept;
};

} // namespace errata::editing
