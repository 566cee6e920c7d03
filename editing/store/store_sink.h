#pragma once

#include "core/base/error.h"
#include "core/base/progress.h"
#include "editing/store/import.h"
#include "editing/store/seen_ids.h"

#include <map>
#include <string>

namespace errata::editing {

/// Puts what a reader makes of a file into the store, inside the change that the caller has begun.
class StoreSink : public datasets::ImportSink {
 public:
  StoreSink(
      EditStore& store,
      const ImportRequest& request,
      ImportReport& report,
      const ProgressCallback& progress);

  void record(const datasets::RecordPlace& place) override;
  void relation(const datasets::Relation& relation) override;
  void wordings(const datasets::Relation& relation) override;
  void entity(const datasets::Entity& entity) override;
  void fact(const datasets::Fact& fact, datasets::MissingEnd missing_end) override;
  void edit(const datasets::ExplicitEdit& edit) override;
  void multi_hop(const datasets::MultiHopCase& item) override;
  void skipped(const std::string& reason) override;
  void remark(const std::string& reason) override;

  /// The last report of progress.
  void finish();

 private:
  void tally(Outcome outcome);
  void count(Outcome outcome);
  void advance();
  void show(bool last);
  /// Where the record at hand stands, for an error without a place.
  [[noreturn]] void fail_here(const Error& error) const;

  EditStore& store_;
  const ImportRequest& request_;
  ImportReport& report_;
  const ProgressCallback& progress_;
  SeenIds seen_;
  std::map<std::string, datasets::Relation, std::less<>> relations_;
  /// Relations that came as wordings, a record at a time.
  std::map<std::string, Outcome, std::less<>> spoken_of_;
  std::string where_;
  std::int64_t items_ = 0;
  std::int64_t byte_ = 0;
  std::int64_t total_bytes_ = 0;
};

} // namespace errata::editing
