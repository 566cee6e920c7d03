// Random sequences of writes against a plain in-memory model of the same rules.

#include "core/base/files.h"
#include "tests/editing/store/store_fixture.h"

#include <algorithm>
#include <map>
#include <rapidcheck/gtest.h>
#include <set>
#include <tuple>

namespace errata::editing {
namespace {

using datasets::Edit;
using datasets::EditKind;
using datasets::Fact;

/// Keeps facts as they were stated; works everything else out when asked.
class Model {
 public:
  using Key = std::tuple<std::string, std::string, std::string, long>; // slot, object, start
  struct Entry {
    Fact fact;
    bool stated = false;
  };

  static long start_of(const std::optional<Date>& date) {
    return date ? to_days(*date) : -1'000'000;
  }
  static Key key_of(const Fact& fact) {
    return {fact.subject, fact.relation, fact.object, start_of(fact.valid_from)};
  }

  void add(const Fact& fact, Succession succession) {
    const auto [place, is_new] = entries.try_emplace(key_of(fact), Entry{fact, false});
    Entry& entry = place->second;
    entry.fact.valid_from = fact.valid_from;
    entry.fact.provisional = fact.provisional;
    if (fact.valid_to || succession == Succession::kExact) {
      entry.fact.valid_to = fact.valid_to;
      entry.stated = true;
    } else if (is_new) {
      entry.fact.valid_to.reset();
    }
  }

  std::vector<Key> matching(const FactKey& key) const {
    std::vector<Key> keys;
    for (const auto& [name, entry] : entries) {
      if (entry.fact.subject == key.subject && entry.fact.relation == key.relation &&
          (!key.object || *key.object == entry.fact.object)) {
        keys.push_back(name);
      }
    }
    return keys;
  }

  /// The facts with the ends that follow from their neighbours.
  std::vector<Fact> facts() const {
    std::vector<Fact> result;
    for (const auto& [name, entry] : entries) {
      Fact fact = entry.fact;
      if (!entry.stated && fact.relation != "many") {
        fact.valid_to.reset();
        for (const auto& [other_name, other] : entries) {
          const bool follows = other.fact.subject == fact.subject &&
                               other.fact.relation == fact.relation && other.fact.valid_from &&
                               start_of(other.fact.valid_from) > start_of(fact.valid_from);
          if (follows && (!fact.valid_to || *other.fact.valid_from < *fact.valid_to)) {
            fact.valid_to = other.fact.valid_from;
          }
        }
      }
      result.push_back(fact);
    }
    return result;
  }

  std::map<Key, Entry> entries;
};

using Line = std::tuple<std::string, std::string, std::string, std::string, std::string, bool>;

std::multiset<Line> lines(const std::vector<Fact>& facts) {
  std::multiset<Line> result;
  for (const Fact& fact : facts) {
    result.insert(
        {fact.subject,
         fact.relation,
         fact.object,
         fact.valid_from ? std::to_string(to_days(*fact.valid_from)) : "-",
         fact.valid_to ? std::to_string(to_days(*fact.valid_to)) : "-",
         fact.provisional});
  }
  return result;
}

std::vector<Fact> on(const std::vector<Fact>& facts, const Date& day) {
  std::vector<Fact> result;
  std::copy_if(facts.begin(), facts.end(), std::back_inserter(result), [&](const Fact& fact) {
    return holds_on(day, fact.valid_from, fact.valid_to);
  });
  return result;
}

// Old and new value of each slot that differs; an object of a many-valued slot is its own slot.
using Change = std::pair<std::string, std::string>;
std::map<std::string, Change> changes(
    const std::vector<Fact>& before,
    const std::vector<Fact>& after,
    const Date& from,
    const Date& to) {
  const auto values = [&](const std::vector<Fact>& facts, const Date& day) {
    std::map<std::string, std::tuple<long, std::string>> best;
    for (const Fact& fact : on(facts, day)) {
      const std::string slot =
          fact.subject + "/" + fact.relation + (fact.relation == "many" ? "/" + fact.object : "");
      auto& value = best.try_emplace(slot, -2'000'000, "").first->second;
      value = std::max(value, {Model::start_of(fact.valid_from), fact.object});
    }
    return best;
  };
  std::map<std::string, Change> result;
  for (const auto& [slot, value] : values(before, from)) {
    result[slot].first = std::get<1>(value);
  }
  for (const auto& [slot, value] : values(after, to)) {
    result[slot].second = std::get<1>(value);
  }
  std::erase_if(result, [](const auto& item) { return item.second.first == item.second.second; });
  return result;
}

std::map<std::string, Change> changes(
    const std::vector<Fact>& facts, const Date& from, const Date& to) {
  return changes(facts, facts, from, to);
}

std::map<std::string, Change> changes(const std::vector<Edit>& edits) {
  std::map<std::string, Change> result;
  for (const Edit& edit : edits) {
    const std::string object = edit.new_object.value_or(edit.old_object.value_or(""));
    const std::string slot =
        edit.subject + "/" + edit.relation + (edit.relation == "many" ? "/" + object : "");
    RC_ASSERT(!result.contains(slot));
    result[slot] = {edit.old_object.value_or(""), edit.new_object.value_or("")};
    RC_ASSERT((edit.kind == EditKind::kInjection) == !edit.old_object.has_value());
    RC_ASSERT((edit.kind == EditKind::kRemoval) == !edit.new_object.has_value());
  }
  return result;
}

std::size_t overlaps(const std::vector<Fact>& facts) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    for (std::size_t j = i + 1; j < facts.size(); ++j) {
      const Fact& a = facts[i];
      const Fact& b = facts[j];
      const auto before = [](const std::optional<Date>& start, const std::optional<Date>& end) {
        return !start || !end || to_days(*start) < to_days(*end);
      };
      count += a.subject == b.subject && a.relation == b.relation && a.relation != "many" &&
                       a.object != b.object && before(a.valid_from, b.valid_to) &&
                       before(b.valid_from, a.valid_to)
                   ? 1
                   : 0;
    }
  }
  return count;
}

std::optional<Date> any_date() {
  const int year = *rc::gen::inRange(0, 9);
  if (year == 0) {
    return std::nullopt;
  }
  const int month = *rc::gen::inRange(0, 4);
  return Date{2010 + year, month, month == 0 ? 0 : *rc::gen::inRange(0, 4)};
}

Date any_day() {
  return {2010 + *rc::gen::inRange(0, 10), *rc::gen::inRange(1, 6), *rc::gen::inRange(1, 6)};
}

Fact any_fact() {
  static const std::vector<std::string> subjects = {"A", "B"};
  static const std::vector<std::string> relations = {"one", "many"};
  static const std::vector<std::string> objects = {"x", "y", "z"};
  Fact made;
  made.subject = *rc::gen::elementOf(subjects);
  made.relation = *rc::gen::elementOf(relations);
  made.object = *rc::gen::elementOf(objects);
  made.valid_from = any_date();
  made.valid_to = any_date();
  if (made.valid_from && made.valid_to && to_days(*made.valid_to) <= to_days(*made.valid_from)) {
    made.valid_to.reset();
  }
  made.provisional = *rc::gen::inRange(0, 6) == 0;
  return made;
}

// Applies one random write to both; returns what the store recorded as its number of changes.
void step(EditStore& store, Model& model) {
  const int what = *rc::gen::inRange(0, 8);
  const Fact made = any_fact();
  if (what < 6) {
    const auto succession = what == 0 ? Succession::kExact : Succession::kInfer;
    store.add(made, succession);
    model.add(made, succession);
    return;
  }
  FactKey key{made.subject, made.relation, std::nullopt, std::nullopt};
  if (*rc::gen::arbitrary<bool>()) {
    key.object = made.object;
  }
  auto keys = model.matching(key);
  if (what == 6) {
    if (keys.empty()) {
      RC_ASSERT_THROWS_AS(store.retract(key), Error);
      return;
    }
    RC_ASSERT(store.retract(key) == static_cast<std::int64_t>(keys.size()));
    for (const auto& name : keys) {
      model.entries.erase(name);
    }
    return;
  }
  const Date day = any_day();
  const std::vector<Fact> now = model.facts();
  std::erase_if(keys, [&](const Model::Key& name) {
    return std::none_of(now.begin(), now.end(), [&](const Fact& fact) {
      return Model::key_of(fact) == name && Model::start_of(fact.valid_from) < to_days(day) &&
             (!fact.valid_to || to_days(day) < to_days(*fact.valid_to));
    });
  });
  if (keys.empty()) {
    RC_ASSERT_THROWS_AS(store.end(key, day), Error);
    return;
  }
  store.end(key, day);
  for (const auto& name : keys) {
    model.entries[name].fact.valid_to = day;
    model.entries[name].stated = true;
  }
}

using Description = std::tuple<std::string, bool>; // end, standing
std::map<Model::Key, Description> described(const std::vector<Fact>& facts) {
  std::map<Model::Key, Description> result;
  for (const Fact& fact : facts) {
    result[Model::key_of(fact)] = {
        fact.valid_to ? to_string(*fact.valid_to) : "-", fact.provisional};
  }
  return result;
}

// What the store says it learnt must lead from the earlier facts to the later ones.
void check_learnt(
    const std::vector<Learnt>& learnt,
    const std::vector<Fact>& before,
    const std::vector<Fact>& after) {
  auto state = described(before);
  for (const Learnt& item : learnt) {
    RC_ASSERT((item.kind == EditKind::kInjection) == !item.before.has_value());
    RC_ASSERT((item.kind == EditKind::kRemoval) == !item.after.has_value());
    if (item.before) {
      const auto place = state.find(Model::key_of(item.before->fact));
      RC_ASSERT(place != state.end());
      state.erase(place);
    }
  }
  for (const Learnt& item : learnt) {
    if (item.after) {
      const Fact& fact = item.after->fact;
      const Description description{
          fact.valid_to ? to_string(*fact.valid_to) : "-", fact.provisional};
      RC_ASSERT(state.emplace(Model::key_of(fact), description).second);
    }
  }
  RC_ASSERT(state == described(after));
}

RC_GTEST_PROP(StoreModelTest, BehavesAsThePlainModel, ()) {
  const testing_support::TemporaryDirectory directory;
  EditStore store = EditStore::create(directory / "s", throwaway());
  store.put_relation(relation("one"));
  store.put_relation(relation("many", false));
  Model model;
  std::map<std::int64_t, std::vector<Fact>> history; // change: facts then
  history[store.statistics().changes];
  const int steps = *rc::gen::inRange(1, 15);
  for (int i = 0; i < steps; ++i) {
    step(store, model);
    const std::vector<Fact> facts = model.facts();
    RC_ASSERT(lines(store.all_facts()) == lines(facts));
    history[store.statistics().changes] = facts;
  }
  RC_ASSERT(store.verify().empty());
  RC_ASSERT(store.conflicts().size() == overlaps(model.facts()));
  for (const auto& [change, facts] : history) {
    const Date day = any_day();
    const Date later = any_day();
    RC_ASSERT(lines(store.facts_as_of(day, change)) == lines(on(facts, day)));
    const Date from = std::min(day, later);
    const Date to = std::max(day, later);
    RC_ASSERT(changes(store.diff(from, to, change)) == changes(facts, from, to));
    // Two record times, with and without days.
    const auto& [later_change, later_facts] =
        *std::next(history.begin(), *rc::gen::inRange<std::ptrdiff_t>(0, std::ssize(history)));
    if (change <= later_change) {
      RC_ASSERT(
          changes(store.diff(Moment{from, change}, Moment{to, later_change})) ==
          changes(facts, later_facts, from, to));
      check_learnt(store.learnt(change, later_change), facts, later_facts);
    }
  }
}

RC_GTEST_PROP(StoreModelTest, OrderOfAdditionsDoesNotMatter, ()) {
  const testing_support::TemporaryDirectory directory;
  std::vector<Fact> facts = *rc::gen::container<std::vector<Fact>>(rc::gen::exec([] {
    Fact made = any_fact();
    made.valid_to.reset();
    made.provisional = false;
    if (made.valid_from) {
      made.valid_from = made.valid_from->first_day();
    }
    return made;
  }));
  facts.resize(std::min<std::size_t>(facts.size(), 8));
  std::vector<std::string> hashes;
  for (const char* name : {"forwards", "backwards"}) {
    EditStore store = EditStore::create(directory / name, throwaway());
    store.put_relation(relation("one"));
    store.put_relation(relation("many", false));
    for (const Fact& item : facts) {
      store.add(item);
    }
    hashes.push_back(store.content_hash());
    const std::int64_t before = store.statistics().changes;
    for (const Fact& item : facts) {
      RC_ASSERT(store.add(item) == Outcome::kUnchanged);
    }
    RC_ASSERT(store.statistics().changes == before);
    std::reverse(facts.begin(), facts.end());
  }
  RC_ASSERT(hashes[0] == hashes[1]);
}

RC_GTEST_PROP(StoreModelTest, DumpAndRestoreAreInverse, ()) {
  const testing_support::TemporaryDirectory directory;
  EditStore store = EditStore::create(directory / "s", throwaway());
  store.put_relation(relation("one"));
  store.put_relation(relation("many", false));
  Model model;
  for (int i = *rc::gen::inRange(0, 10); i > 0; --i) {
    step(store, model);
  }
  store.dump(directory / "a");
  const EditStore copy = EditStore::restore(directory / "a", directory / "t", throwaway());
  copy.dump(directory / "b");
  RC_ASSERT(read_file(directory / "a") == read_file(directory / "b"));
  RC_ASSERT(copy.content_hash() == store.content_hash());
}

} // namespace
} // namespace errata::editing
