#include "eval/task.h"

#include "core/base/error.h"
#include "core/base/hash.h"

#include <array>
#include <utility>

namespace errata::eval {
namespace {

constexpr std::array<Suite, 5> kSuites = {
    Suite::kEditing, Suite::kLocality, Suite::kMultihop, Suite::kHistory, Suite::kFacts};

void add_text(Sha256& hash, std::string_view text) {
  hash.update(concat(text.size(), ':')).update(text);
}

void add_texts(Sha256& hash, const std::vector<std::string>& texts) {
  hash.update(concat(texts.size(), ';'));
  for (const std::string& text : texts) {
    add_text(hash, text);
  }
}

} // namespace

std::string_view to_string(Suite suite) noexcept {
  switch (suite) {
    case Suite::kEditing:
      return "editing";
    case Suite::kLocality:
      return "locality";
    case Suite::kMultihop:
      return "multihop";
    case Suite::kHistory:
      return "history";
    case Suite::kFacts:
      break;
  }
  return "facts";
}

std::set<Suite> parse_suites(std::string_view list) {
  if (list == "all") {
    return {kSuites.begin(), kSuites.end()};
  }
  std::set<Suite> suites;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string_view name = list.substr(at, end - at);
    bool known = false;
    for (const Suite suite : kSuites) {
      if (name == to_string(suite)) {
        suites.insert(suite);
        known = true;
      }
    }
    ERRATA_CHECK(
        known,
        ErrorCode::kInvalidArgument,
        "suite '",
        name,
        "' is unknown; use editing, locality, multihop, history, facts or all");
    at = end + 1;
  }
  return suites;
}

std::string_view to_string(Part part) noexcept {
  switch (part) {
    case Part::kReliability:
      return "reliability";
    case Part::kWording:
      return "wording";
    case Part::kNewFact:
      return "new_fact";
    case Part::kNewInverse:
      return "new_inverse";
    case Part::kStatement:
      return "statement";
    case Part::kPortability:
      return "portability";
    case Part::kKept:
      return "kept";
    case Part::kRehearsed:
      return "rehearsed";
    case Part::kCase:
      return "case";
    case Part::kHop:
      return "hop";
    case Part::kEdit:
      return "edit";
    case Part::kYear:
      return "year";
    case Part::kSingle:
      return "single";
    case Part::kInverse:
      break;
  }
  return "inverse";
}

Suite suite_of(Part part) noexcept {
  switch (part) {
    case Part::kReliability:
    case Part::kWording:
    case Part::kNewFact:
    case Part::kNewInverse:
    case Part::kStatement:
    case Part::kPortability:
      return Suite::kEditing;
    case Part::kKept:
    case Part::kRehearsed:
      return Suite::kLocality;
    case Part::kCase:
    case Part::kHop:
    case Part::kEdit:
      return Suite::kMultihop;
    case Part::kYear:
      return Suite::kHistory;
    case Part::kSingle:
    case Part::kInverse:
      break;
  }
  return Suite::kFacts;
}

std::string item_of(const datasets::Hop& hop) {
  return hop.subject + "|" + hop.relation;
}

std::string tasks_hash(const std::vector<Task>& tasks) {
  Sha256 hash;
  for (const Task& task : tasks) {
    add_text(hash, task.id);
    add_text(hash, task.prompt);
    add_texts(hash, task.answers);
    add_texts(hash, task.stale);
    for (const datasets::Hop& hop : task.chain) {
      add_texts(hash, {hop.subject, hop.relation, hop.object});
    }
    add_text(hash, task.cluster);
    add_text(hash, task.kind);
  }
  return hash.hex_digest();
}

} // namespace errata::eval
