#pragma once

#include "core/base/hash.h"
#include "editing/plan/wordings.h"
#include "eval/task.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

// How the task lists are put together; the lists themselves are in make_tasks.cpp.

namespace errata::eval {

/// The items that a limit keeps, in their old order: those with the smallest hashes of their keys,
/// so that every part and every run draws the same ones. A limit of 0 keeps all.
template <typename T, typename Key>
std::vector<T> sample(const std::vector<T>& items, std::size_t limit, const Key& key) {
  if (limit == 0 || items.size() <= limit) {
    return items;
  }
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < items.size(); ++i) {
    order.emplace_back(stable_hash("limit|" + key(items[i])), i);
  }
  std::sort(order.begin(), order.end());
  order.resize(limit);
  std::sort(
      order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<T> kept;
  for (const auto& place : order) {
    kept.push_back(items[place.second]);
  }
  return kept;
}

/// What the first day accepts and the second does not.
std::vector<std::string> only_before(
    std::vector<std::string> before, const std::vector<std::string>& now);

/// Collects the tasks of one list. Of equal ids (a hop of many cases) the first one stands.
class TaskBuilder {
 public:
  explicit TaskBuilder(const TaskOptions& options) : options_(options) {}

  bool wants(Suite suite) const { return options_.suites.count(suite) != 0; }
  std::size_t limit() const { return options_.limit; }

  /// Gives the task its id.
  void add(Task task);
  /// A question about one fact, answered at once.
  void add_fact(
      Part part,
      const datasets::Hop& fact,
      const std::string& question,
      std::vector<std::string> answers,
      std::vector<std::string> stale = {},
      std::string kind = {},
      int wording = 0);
  /// Every wording of a multi-hop case in every mode.
  void add_case(const datasets::MultiHopCase& item);
  /// The cases, and each hop of their chains by itself.
  void add_cases(
      const std::vector<datasets::MultiHopCase>& cases,
      const editing::World& world,
      const editing::Wordings& wordings);
  void add_history(
      const std::vector<editing::HistoryItem>& items, const editing::Wordings& wordings);

  std::vector<Task> take() { return std::move(tasks_); }

 private:
  TaskOptions options_;
  std::vector<Task> tasks_;
  std::unordered_set<std::string> ids_;
};

} // namespace errata::eval
