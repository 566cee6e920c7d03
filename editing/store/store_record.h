#pragma once

#include "core/base/date.h"
#include "datasets/record.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What the edit store takes and gives besides the records of datasets/record.h.

namespace errata::editing {

/// What a write did.
enum class Outcome { kUnchanged, kAdded, kSuperseded };

/// What bringing a set up to date has changed in it.
struct SetChange {
  std::int64_t added = 0;
  std::int64_t superseded = 0; ///< known by its id, but different

  friend bool operator==(const SetChange&, const SetChange&) = default;
};

/// How the interval of a new fact meets those already in its slot (`EditStore::add`).
enum class Succession { kInfer, kExact };

/// Names facts of a slot.
struct FactKey {
  std::string subject;
  std::string relation;
  std::optional<std::string> object;
  std::optional<Date> valid_from;
};

/// Parts that are given must fit. Subjects and objects are canonical names.
struct FactQuery {
  std::optional<Date> day; ///< it held on this day
  /// It held on some day of [from, to).
  std::optional<Date> from;
  std::optional<Date> to;
  std::optional<std::int64_t> known; ///< as recorded after this change; missing: now
  std::optional<std::string> subject;
  std::optional<std::string> relation;
  std::optional<std::string> object;
  std::optional<std::string> text;   ///< in the name of subject or object, ASCII case ignored
  std::optional<std::string> source; ///< a pattern with * and ?
  std::optional<bool> provisional;
  bool superseded = false; ///< all versions instead of those known (`known` must be missing)
  std::size_t limit = 0;   ///< at most so many; 0: all
};

/// A fact with its record time.
struct StoredFact {
  std::int64_t id = 0;
  datasets::Fact fact;
  std::int64_t recorded = 0; ///< number of the change that brought it
  std::string recorded_at;
  std::int64_t superseded = 0; ///< number of the change that ended its record, 0 while current
  std::string superseded_at;
  std::int64_t superseded_by = 0; ///< id of the version that replaced it, 0 when withdrawn
  /// Whether its end (or that it has none) was stated; else it follows from the next value.
  bool end_stated = false;
};

/// Two current values of a functional slot and the days [from, to) on which both hold.
struct Conflict {
  StoredFact first;
  StoredFact second;
  std::optional<Date> from;
  std::optional<Date> to;
  std::string why; ///< what makes them overlap
  /// A way out: retracting this one, or ending it on `until` where that is given.
  FactKey wrong;
  std::optional<Date> until;
};

/// A state of the store: what held on `day`, as it was known after change `known` (missing: now).
struct Moment {
  Date day;
  std::optional<std::int64_t> known;
};

/// What the record of one fact was at two record times; one of them may be missing.
struct Learnt {
  datasets::EditKind kind = datasets::EditKind::kInjection;
  std::optional<StoredFact> before;
  std::optional<StoredFact> after;
};

struct LogEntry {
  std::int64_t change = 0;
  std::string at; ///< UTC
  std::string action;
  std::string note;
  std::int64_t added = 0;      ///< facts that were new
  std::int64_t superseded = 0; ///< facts replaced by another version
  std::int64_t retracted = 0;  ///< facts withdrawn
};

struct EntityView {
  datasets::Entity entity;
  std::vector<StoredFact> facts;    ///< it is the subject
  std::vector<StoredFact> incoming; ///< it is the object
};

/// A version of a fact and the runs whose adapters carry it.
struct BlameEntry {
  StoredFact fact;
  std::vector<std::string> runs;
};

struct SetInfo {
  std::string name;
  std::int64_t multi_hop = 0;
  std::int64_t edits = 0;
};

/// Two things in a set that cannot both be so once all its edits are made: two edits of one slot
/// with different targets, or an edit and a multi-hop case whose chain needs another value there
/// (MQuAKE-CF-3k in its first version).
struct SetConflict {
  std::string subject;
  std::string relation;
  std::string edit;   ///< id
  std::string target; ///< what it writes
  std::string other;  ///< id of the other edit, or of the case
  std::string needs;  ///< what that one has there
  bool with_case = false;
};

/// A finished run: what made an adapter, and the edits in it.
struct RunRecord {
  std::string id;
  std::string at; ///< UTC; empty: now
  std::string method;
  std::string output; ///< the run directory
  std::string model_sha256;
  std::string store_sha256;
  std::string adapter_sha256;
  std::uint64_t seed = 0;
  std::optional<Date> from;
  std::optional<Date> to;
  std::string config;  ///< a JSON object as text
  std::string metrics; ///< a JSON object as text
  std::vector<datasets::Edit> edits;
};

/// An edit that a run's adapter carries, and what the store knows of its slot today.
struct CarriedEdit {
  datasets::Edit edit;
  /// Whether the current record still gives this value for the run's second day. Edits that were
  /// given outright (a run without days) always hold: no fact of the store says otherwise.
  bool holds = true;
  std::vector<std::string> now; ///< the values it gives; none where the slot is empty
};

struct Statistics {
  std::int64_t relations = 0;
  std::int64_t entities = 0;
  std::int64_t facts = 0;    ///< current
  std::int64_t versions = 0; ///< superseded and withdrawn ones too
  std::int64_t multi_hop = 0;
  std::int64_t edits = 0;
  std::int64_t runs = 0;
  std::int64_t changes = 0;
};

} // namespace errata::editing
