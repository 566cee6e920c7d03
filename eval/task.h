#pragma once

#include "datasets/record.h"
#include "editing/plan/edit_plan.h"
#include "editing/plan/pretrain_documents.h"
#include "eval/protocol.h"

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace errata::eval {

enum class Suite { kEditing, kLocality, kMultihop, kHistory, kFacts };

std::string_view to_string(Suite suite) noexcept;

/// Reads "editing,multihop"; an unknown name is `kInvalidArgument`. "all" is every suite.
std::set<Suite> parse_suites(std::string_view list);

/// What a task measures.
enum class Part {
  kReliability, ///< editing: an edited slot in its held-out question, or an edit's own prompt
  kWording,     ///< editing: one of all wordings of an edited slot's question
  kNewFact,     ///< editing: another fact that is new on the second day
  kNewInverse,  ///< editing: the same from object to subject
  kStatement,   ///< editing: an edited slot as a sentence to complete
  kPortability, ///< editing: a prompt whose answer follows from an edit given outright
  kKept,        ///< locality: an unchanged fact that no edit document uses
  kRehearsed,   ///< locality: an unchanged fact that rehearsal uses
  kCase,        ///< multihop: one wording of a case
  kHop,         ///< multihop: one fact of a case's chain, in its held-out question
  kEdit,        ///< multihop: an edited fact of the cases, in a question it was trained on
  kYear,        ///< history: who held a slot in a past year
  kSingle,      ///< facts: a fact in its held-out question
  kInverse,     ///< facts: the same from object to subject
};

std::string_view to_string(Part part) noexcept;
Suite suite_of(Part part) noexcept;

/// One question to a model, with what counts as right.
struct Task {
  std::string id; ///< unique in its list and the same in every run
  Part part = Part::kReliability;
  Mode mode = Mode::kDirect;
  std::string prompt;
  /// Right on the second day (or on the only one), canonical first.
  std::vector<std::string> answers;
  /// Right before and wrong now.
  std::vector<std::string> stale;
  /// What is asked about: tasks of one fact or case share it.
  std::string item;
  /// What is resampled together: the case, or the subject.
  std::string cluster;
  /// Locality kind, edited hop of a case, or whether a year is "edited" or "trained".
  std::string kind;
  int wording = 0;
  bool changed = false;
  /// The case has an answer on the first day.
  bool defined_before = true;
  /// The chain of a case on the second day.
  std::vector<datasets::Hop> chain;
  /// Also scored with the answer given (teacher-forced).
  bool teacher_forced = false;
};

struct TaskOptions {
  std::set<Suite> suites = {
      Suite::kEditing, Suite::kLocality, Suite::kMultihop, Suite::kHistory, Suite::kFacts};
  std::set<Mode> modes = {Mode::kDirect, Mode::kReasoning}; ///< of multi-hop questions
  int wordings = 3;                                         ///< of each multi-hop case
  std::size_t limit = 0;    ///< items of each part, drawn by a stable hash; 0: all
  bool development = false; ///< multi-hop cases of the development split instead
};

/// The name of the fact that a hop asks about: "Italy|capital".
std::string item_of(const datasets::Hop& hop);

/// Everything that a batch of edits is judged by. For edits given outright: their prompts,
/// paraphrases and locality probes.
std::vector<Task> make_tasks(
    const editing::EditPlan& plan,
    const editing::Knowledge& knowledge,
    const editing::Wordings& wordings,
    const TaskOptions& options = {});

/// As above for edits given outright, which need no store.
std::vector<Task> make_tasks(const editing::EditPlan& plan, const TaskOptions& options = {});

/// As above for a set of a store, whose words also ask for each hop of the cases by itself.
std::vector<Task> make_set_tasks(
    const editing::EditPlan& plan,
    const editing::Knowledge& vocabulary,
    const editing::Wordings& wordings,
    const TaskOptions& options = {});

/// What a model of one day is judged by: facts and inverse facts in the held-out question,
/// multi-hop cases and past years.
std::vector<Task> make_tasks(
    const editing::PretrainPlan& plan,
    const editing::Knowledge& knowledge,
    const editing::Wordings& wordings,
    const TaskOptions& options = {});

/// SHA-256 over everything that the tasks say.
std::string tasks_hash(const std::vector<Task>& tasks);

} // namespace errata::eval
