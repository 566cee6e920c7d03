#include "editing/store/store_sink.h"

#include "core/base/error.h"
#include "core/base/interrupt.h"

#include <algorithm>
#include <system_error>

namespace errata::editing {
namespace {

using datasets::Relation;

constexpr std::int64_t kReportEvery = 512;
constexpr std::size_t kFirstKept = 20;
/// A relation of a large data set may be asked in hundreds of ways that differ by an article.
constexpr std::size_t kMostWordings = 16;

bool add_missing(std::vector<std::string>& known, const std::vector<std::string>& more) {
  bool added = false;
  for (const std::string& wording : more) {
    if (known.size() < kMostWordings &&
        std::find(known.begin(), known.end(), wording) == known.end()) {
      known.push_back(wording);
      added = true;
    }
  }
  return added;
}

/// Of one record.
Outcome outcome_of(const SetChange& change) {
  return change.added > 0        ? Outcome::kAdded
         : change.superseded > 0 ? Outcome::kSuperseded
                                 : Outcome::kUnchanged;
}

} // namespace

StoreSink::StoreSink(
    EditStore& store,
    const ImportRequest& request,
    ImportReport& report,
    const ProgressCallback& progress)
    : store_(store), request_(request), report_(report), progress_(progress) {
  std::error_code unknown;
  const auto size = std::filesystem::file_size(request.options.path, unknown);
  total_bytes_ = unknown ? 0 : static_cast<std::int64_t>(size);
  for (Relation& relation : store.relations()) {
    std::string name = relation.name;
    relations_.emplace(std::move(name), std::move(relation));
  }
}

void StoreSink::record(const datasets::RecordPlace& place) {
  where_ = place.where;
  byte_ = std::max(byte_, place.byte);
}

void StoreSink::tally(Outcome outcome) {
  ++report_.read;
  ++(outcome == Outcome::kAdded        ? report_.added
     : outcome == Outcome::kSuperseded ? report_.superseded
                                       : report_.unchanged);
}

void StoreSink::count(Outcome outcome) {
  tally(outcome);
  advance();
}

void StoreSink::advance() {
  if (++items_ % kReportEvery == 0) {
    ERRATA_CHECK(!interrupted(), ErrorCode::kInterrupted, "import stopped; the store is unchanged");
    show(false);
  }
}

void StoreSink::show(bool last) {
  if (byte_ > 0) {
    report(
        progress_,
        {"importing",
         last ? total_bytes_ : std::min(byte_, total_bytes_ - 1),
         total_bytes_,
         "bytes",
         concat(items_, " records")});
  } else {
    report(progress_, {"importing", items_, last ? items_ : 0, "records", {}});
  }
}

void StoreSink::finish() {
  ERRATA_CHECK(!interrupted(), ErrorCode::kInterrupted, "import stopped; the store is unchanged");
  for (const auto& [relation, outcome] : spoken_of_) {
    tally(outcome);
    ++report_.relations;
  }
  show(true);
}

void StoreSink::fail_here(const Error& error) const {
  const std::string text = error.what();
  throw Error(
      error.code(),
      where_.empty() || text.starts_with(where_) ? text : concat(where_, ": ", text),
      error.file(),
      error.line());
}

void StoreSink::relation(const Relation& relation) {
  count(store_.put_relation(relation));
  ++report_.relations;
  relations_[relation.name] = relation;
}

void StoreSink::wordings(const Relation& relation) {
  const auto [known, added] = relations_.emplace(relation.name, relation);
  Relation& merged = known->second;
  const bool stated = add_missing(merged.statements, relation.statements);
  const bool asked = add_missing(merged.questions, relation.questions);
  const Outcome outcome =
      added || stated || asked ? store_.put_relation(merged) : Outcome::kUnchanged;
  // Hundreds of records may speak of one relation; it is one, and new if it was new at first.
  Outcome& all = spoken_of_.try_emplace(relation.name, outcome).first->second;
  all = all == Outcome::kUnchanged ? outcome : all;
  advance();
}

void StoreSink::entity(const datasets::Entity& entity) {
  count(store_.put_entity(entity));
  ++report_.entities;
}

void StoreSink::fact(const datasets::Fact& fact, datasets::MissingEnd missing_end) {
  try {
    count(store_.add(
        fact,
        missing_end == datasets::MissingEnd::kOpen ? Succession::kExact : Succession::kInfer));
    ++report_.facts;
  } catch (const Error& error) {
    fail_here(error);
  }
}

void StoreSink::edit(const datasets::ExplicitEdit& edit) {
  if (seen_.contains("edit", edit.id)) {
    // Cases share edits; an id for two of them would leave one out.
    ERRATA_CHECK(
        store_.explicit_edit(report_.set, edit.id) == edit,
        ErrorCode::kInvalidArgument,
        where_,
        ": id '",
        edit.id.substr(0, 60),
        "' is that of another edit of the file, which says something else");
    return;
  }
  count(outcome_of(store_.put_edits(report_.set, {&edit, 1})));
  seen_.insert("edit", edit.id); // now that the store has taken it
  ++report_.edits;
}

void StoreSink::multi_hop(const datasets::MultiHopCase& item) {
  ERRATA_CHECK(
      !seen_.contains("case", item.id),
      ErrorCode::kInvalidArgument,
      where_,
      ": id '",
      item.id.substr(0, 60),
      "' is that of an earlier case of the file");
  count(outcome_of(store_.put_multi_hop(report_.set, {&item, 1})));
  seen_.insert("case", item.id);
  ++report_.multi_hop;
}

void StoreSink::skipped(const std::string& reason) {
  ++report_.skipped;
  if (report_.first_skipped.size() < kFirstKept) {
    report_.first_skipped.push_back(reason);
  }
  if (request_.note) {
    request_.note("skipped", reason);
  }
  advance();
}

void StoreSink::remark(const std::string& reason) {
  ++report_.remarks;
  if (report_.first_remarks.size() < kFirstKept) {
    report_.first_remarks.push_back(reason);
  }
  if (request_.note) {
    request_.note("remark", reason);
  }
}

} // namespace errata::editing
