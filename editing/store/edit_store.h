#pragma once

#include "core/base/date.h"
#include "datasets/record.h"
#include "editing/store/store_record.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace errata::editing {

struct StoreOptions {
  /// How long a writer waits for another one.
  int busy_timeout_ms = 15'000;
  /// Largest size of the file in pages of 4 KiB; 0: as the disk allows. Lets tests fill the disk.
  std::int64_t max_pages = 0;
  /// Whether a commit waits until the disk has it. Without, a power cut may cost the last changes
  /// or the file; a killed process still costs nothing. For stores that can be made again.
  bool durable = true;
  /// The current time in UTC, `2026-01-22T08:15:30Z`. Empty: the system's clock.
  std::function<std::string()> clock;
};

/// The edit store: facts with the time in which they held (valid time) and the time at which the
/// store learnt them (record time), in one SQLite file (docs/formats/store.md).
///
/// Nothing is overwritten: a correction supersedes a fact, a retraction ends its record, and every
/// earlier state can still be read. Every write belongs to a numbered change; outside `begin()`
/// each call is a change of its own. A failed call leaves the store as it was. Writers are
/// serialised
/// (`kIo` after the busy timeout), readers never wait. One object is for one thread.
///
/// Texts are UTF-8 without NUL and not empty; anything else is `kInvalidArgument` that names the
/// byte. A damaged file is `kCorrupt`, a full disk `kIo`.
class EditStore {
  struct State;

 public:
  /// A new, empty store. `kInvalidArgument` when `path` exists, `kNotFound` without its directory.
  static EditStore create(const std::filesystem::path& path, StoreOptions options = {});
  /// An existing store, brought to the current schema. `kNotFound` when missing, `kCorrupt` when it
  /// is not a store, `kUnsupported` when a newer errata wrote it.
  static EditStore open(const std::filesystem::path& path, StoreOptions options = {});

  EditStore(EditStore&&) noexcept;
  EditStore& operator=(EditStore&&) noexcept;
  ~EditStore();

  const std::filesystem::path& path() const noexcept;

  /// Several writes as one change, all or nothing: without `commit()` the destructor undoes them.
  class Change {
   public:
    Change(Change&&) noexcept;
    Change& operator=(Change&&) = delete;
    ~Change();
    /// Makes the writes durable. Returns the change's number, 0 when nothing was different.
    std::int64_t commit();

   private:
    friend class EditStore;
    explicit Change(State& state);
    State* state_;
  };
  /// `action` and `note` appear in the log: "import", "facts.jsonl".
  Change begin(std::string_view action, std::string_view note = {});

  // ---- relations and entities

  /// Adds the relation, or replaces its wordings. `kInvalidArgument` when `functional` contradicts
  /// facts already stored or a wording lacks its place holder.
  Outcome put_relation(const datasets::Relation& relation);
  /// All relations by name.
  std::vector<datasets::Relation> relations() const;
  /// Throws `kInvalidArgument` that names the nearest relation.
  datasets::Relation relation(std::string_view name) const;

  /// Adds the entity, or a kind and further aliases to a known one.
  Outcome put_entity(const datasets::Entity& entity);
  /// Every entity with a kind or an alias, by name.
  std::vector<datasets::Entity> entities() const;

  // ---- facts

  /// Records a fact. A fact with the same slot, object and start is the same fact: another end,
  /// further aliases or another standing (`provisional`) supersede it, a repetition changes nothing
  /// and the first source stays.
  ///
  /// With `Succession::kInfer` a missing `valid_to` is "not stated": in a functional slot the fact
  /// then ends where the next one begins, whatever the order in which they came, and also after
  /// later additions and retractions; a repetition never reopens a stated end. With `kExact` a
  /// missing `valid_to` states that the fact has no end. What overlaps all the same is kept and
  /// reported by `conflicts()`.
  ///
  /// `kInvalidArgument` for an unknown relation (naming the nearest), an interval without days, or
  /// a text that is empty or not UTF-8.
  Outcome add(const datasets::Fact& fact, Succession succession = Succession::kInfer);

  /// Withdraws the current facts that match (all objects or starts where none is given): they were
  /// wrong. Returns how many; `kInvalidArgument` when none matches.
  std::int64_t retract(const FactKey& key, std::string_view note = {});

  /// Ends the current facts that match and hold on `day`: they stopped being true. Returns how
  /// many; `kInvalidArgument` when none matches.
  std::int64_t end(const FactKey& key, const Date& day, std::string_view note = {});

  /// What held on `day`, as the store knows it now or knew it after change `known`. By relation,
  /// subject, start and object.
  std::vector<datasets::Fact> facts_as_of(
      const Date& day, std::optional<std::int64_t> known = std::nullopt) const;
  /// The current record: every fact with its interval, former ones too. Same order.
  std::vector<datasets::Fact> all_facts() const;
  /// Facts that fit all given parts of the query. Same order.
  std::vector<StoredFact> find(const FactQuery& query) const;
  /// `find` one after the other: memory does not grow with their number. `visit` may move from the
  /// fact and must not write to the store.
  void for_each(const FactQuery& query, const std::function<void(StoredFact&)>& visit) const;

  // ---- views

  /// The net changes between two states, by effective day, subject, relation and object. Takes time
  /// in proportion to the facts that begin or end between the days and the versions recorded
  /// between the record times.
  ///
  /// A functional slot gives at most one edit (of two values on one day the later start counts), a
  /// many-valued one an injection or removal for each object. `effective` is the start of the new
  /// value, of a removal the end of the old one where it has ended. `id` depends on the edit's
  /// content alone. `kInvalidArgument` when a day or record time of `from` is after that of `to`.
  std::vector<datasets::Edit> diff(const Moment& from, const Moment& to) const;
  /// Between two days, both as known after change `known`.
  std::vector<datasets::Edit> diff(
      const Date& from, const Date& to, std::optional<std::int64_t> known = std::nullopt) const;

  /// What the store learnt between two changes about any day: facts that are new, that were
  /// withdrawn, and that are recorded otherwise (another end, standing or alias, or in a functional
  /// slot another object with the same start). By relation, subject, start and object.
  std::vector<Learnt> learnt(
      std::int64_t from, std::optional<std::int64_t> to = std::nullopt) const;

  /// Functional slots with two values at one time, with the reason and a way out; by relation,
  /// subject and start.
  std::vector<Conflict> conflicts() const;

  /// Changes, newest first; `limit` 0: all. With a subject only those that touched its facts.
  std::vector<LogEntry> log(std::size_t limit = 0, std::string_view subject = {}) const;
  /// Number of the last change made up to `time` (`2026-01-22`, its whole day, or
  /// `2026-01-22T08:15:30Z`), 0 when there was none.
  std::int64_t change_at(std::string_view time) const;

  /// The canonical name of an entity given by its name or by an alias. `kInvalidArgument` naming
  /// the nearest for an unknown one, and for an alias of several.
  std::string resolve(std::string_view name) const;
  /// An entity and the current facts about it; names are resolved.
  EntityView show(std::string_view name) const;

  /// Where the facts of a slot came from, every version, and the runs that carry them.
  std::vector<BlameEntry> blame(std::string_view subject, std::string_view relation) const;

  // ---- evaluation data in named sets

  /// Replaces records of the same id in the set.
  SetChange put_multi_hop(std::string_view set, std::span<const datasets::MultiHopCase> cases);
  /// Cases of a set (of all sets when empty) in the order in which they came.
  std::vector<datasets::MultiHopCase> multi_hop(std::string_view set = {}) const;

  SetChange put_edits(std::string_view set, std::span<const datasets::ExplicitEdit> edits);
  std::vector<datasets::ExplicitEdit> explicit_edits(std::string_view set = {}) const;
  /// One of them, by its id.
  std::optional<datasets::ExplicitEdit> explicit_edit(
      std::string_view set, std::string_view id) const;

  /// What cannot be true together in a set; edits first, in the order in which they came.
  std::vector<SetConflict> set_conflicts(std::string_view set) const;

  std::vector<SetInfo> sets() const;

  // ---- runs

  /// Notes a finished run and the edits that its adapter carries. `kInvalidArgument` for a used id.
  void record_run(const RunRecord& run);
  /// All runs in the order in which they were recorded.
  std::vector<RunRecord> runs() const;
  /// The run called `id`. `kInvalidArgument` naming the nearest for an unknown one.
  RunRecord run(std::string_view id) const;
  /// The last run recorded that carries the edit. `kInvalidArgument` when none does.
  RunRecord last_run_with(std::string_view edit) const;
  /// The edits of a run, and which of them the store has learnt better since.
  std::vector<CarriedEdit> carried(const RunRecord& run) const;

  // ---- whole store

  Statistics statistics() const;
  /// Checks every invariant and SQLite's own structures. Empty when all is well, else one line
  /// each.
  std::vector<std::string> verify() const;
  /// SHA-256 of what the store knows now (relations, entities, facts, sets) in canonical order: the
  /// same data give the same hash whenever and in whatever order they were recorded. Runs and
  /// record times do not count.
  std::string content_hash() const;
  /// Writes everything, history included, as JSON lines.
  void dump(const std::filesystem::path& path) const;
  /// Makes a store from a dump; dumping it again gives the same bytes. `kCorrupt` with the line for
  /// a damaged or cut dump, and no file then.
  static EditStore restore(
      const std::filesystem::path& dump,
      const std::filesystem::path& path,
      StoreOptions options = {});

 private:
  explicit EditStore(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

} // namespace errata::editing
