#pragma once

#include "datasets/record.h"

#include <cstdint>
#include <string>

// How a data set's file is read: a reader of this folder goes through the file once, holds one
// record at a time and hands on what it makes of it.

namespace errata::datasets {

/// Where a record stands in its file.
struct RecordPlace {
  std::string where; ///< `file:line`, with the record's number and byte where lines tell little
  std::int64_t byte = 0;
};

/// What a missing `valid_to` of a fact means.
enum class MissingEnd {
  kNotStated, ///< the next value of a functional slot ends it
  kOpen,      ///< the source says that it has no end
};

/// Receives what a reader makes of a file. A record that cannot be taken is `kInvalidArgument` or
/// `kCorrupt`, thrown by the reader or by the sink.
class ImportSink {
 public:
  virtual ~ImportSink() = default;

  /// What follows comes from this record.
  virtual void record(const RecordPlace& place) = 0;
  /// A description, in the place of one already known under its name.
  virtual void relation(const Relation& relation) = 0;
  /// Wordings to be added to those already known under the name.
  virtual void wordings(const Relation& relation) = 0;
  virtual void entity(const Entity& entity) = 0;
  virtual void fact(const Fact& fact, MissingEnd missing_end) = 0;
  virtual void edit(const ExplicitEdit& edit) = 0;
  virtual void multi_hop(const MultiHopCase& item) = 0;
  /// The record was not taken. `reason` names where.
  virtual void skipped(const std::string& reason) = 0;
  /// The record was taken, but not all of it, or with a caution.
  virtual void remark(const std::string& reason) = 0;
};

} // namespace errata::datasets
