#pragma once

// For the .cpp files of this folder: what an EditStore holds, and look-ups that several parts use.

#include "editing/store/bulk.h"
#include "editing/store/database.h"
#include "editing/store/edit_store.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace errata::editing {

struct SlotRow;

struct RelationRow {
  std::int64_t id = 0;
  bool functional = true;
};

/// Ids by name. Bounded, so that memory does not grow with what is imported.
struct NameCache {
  static constexpr std::size_t kMostEntities = 1'000'000;

  std::unordered_map<std::string, std::int64_t, TextHash, std::equal_to<>> entities;
  std::unordered_map<std::string, RelationRow, TextHash, std::equal_to<>> relations;

  void keep(std::string_view entity, std::int64_t id) {
    if (entities.size() >= kMostEntities) {
      entities.clear();
    }
    entities.emplace(entity, id);
  }
  void clear() {
    entities.clear();
    relations.clear();
  }
};

struct EditStore::State {
  State(std::filesystem::path path, int flags, StoreOptions chosen)
      : database(std::move(path), flags, chosen.busy_timeout_ms, chosen.durable),
        options(std::move(chosen)) {}

  Database database;
  StoreOptions options;

  // ---- the change in progress
  bool writing = false;
  /// The change was undone by a failure that ended SQLite's transaction; its `Change` still stands,
  /// and until it goes nothing may be written.
  bool lost = false;
  std::string action;
  std::string note;
  /// Number of the change, 0 until something is different: a change without effect leaves no trace.
  std::int64_t change = 0;
  /// What this change has looked up. Nobody else can write meanwhile, so it stays true.
  NameCache names;
  BulkWriting bulk;

  void begin(std::string_view what, std::string_view why);
  std::int64_t commit();
  void roll_back() noexcept;
  /// The number of the change in progress, taken now if need be.
  std::int64_t require_change();

  /// Runs `work` inside the change in progress, or as a change of its own. If `work` fails, what it
  /// wrote is undone and the change in progress can go on.
  template <typename Work>
  auto write(std::string_view what, std::string_view why, Work&& work) {
    return run_step<true>(what, why, std::forward<Work>(work));
  }

  /// As `write`, for work that checks all it needs before it writes, so that afterwards only SQLite
  /// can fail: that undoes the whole change in progress, and no savepoint is needed.
  template <typename Work>
  auto write_checked(std::string_view what, std::string_view why, Work&& work) {
    return run_step<false>(what, why, std::forward<Work>(work));
  }

  // ---- look-ups
  std::optional<std::int64_t> entity_id(std::string_view name);
  std::int64_t require_entity(std::string_view name);  ///< added when it is new
  RelationRow require_relation(std::string_view name); ///< throws with the nearest name
  std::int64_t require_set(std::string_view name);     ///< added when it is new
  /// Brings a set up to date with `records`.
  template <typename Record, typename KindOfRecord>
  SetChange put_set(
      const KindOfRecord& kind, std::string_view set, std::span<const Record> records);
  /// Current facts that fit; throws when there are none.
  std::vector<SlotRow> require_matching(const FactKey& key);
  void require_known(std::optional<std::int64_t> known);

 private:
  template <bool kSavepoint, typename Work>
  auto run_step(std::string_view what, std::string_view why, Work&& work) {
    require_not_lost();
    const bool own = !writing;
    if (own) {
      begin(what, why);
    } else if (kSavepoint) {
      database.query("SAVEPOINT step").run();
    }
    const std::int64_t change_before = change;
    const std::int64_t rows_before = database.rows_changed();
    try {
      auto result = std::forward<Work>(work)();
      if (own) {
        commit();
      } else if (kSavepoint) {
        database.query("RELEASE step").run();
      }
      return result;
    } catch (...) {
      if (own) {
        roll_back();
      } else if (kSavepoint) {
        undo_step(change_before);
      } else if (database.rows_changed() != rows_before) {
        lose();
      }
      throw;
    }
  }

  void require_not_lost() const;
  void undo_step(std::int64_t change_before) noexcept;
  void lose() noexcept;
};

} // namespace errata::editing
