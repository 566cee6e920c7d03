#pragma once

#include "core/base/error.h"
#include "datasets/importers/import_format.h"

#include <string>
#include <utility>
#include <vector>

namespace errata::testing_support {

/// Keeps what a reader hands on.
class RecordingSink : public datasets::ImportSink {
 public:
  void record(const datasets::RecordPlace& place) override { places.push_back(place); }
  void relation(const datasets::Relation& relation) override { relations.push_back(relation); }
  void wordings(const datasets::Relation& relation) override { relations.push_back(relation); }
  void entity(const datasets::Entity& entity) override { entities.push_back(entity); }
  void fact(const datasets::Fact& fact, datasets::MissingEnd missing_end) override {
    facts.push_back(fact);
    ends.push_back(missing_end);
  }
  void edit(const datasets::ExplicitEdit& edit) override { edits.push_back(edit); }
  void multi_hop(const datasets::MultiHopCase& item) override { cases.push_back(item); }
  void skipped(const std::string& reason) override { skips.push_back(reason); }
  void remark(const std::string& reason) override { remarks.push_back(reason); }

  std::vector<datasets::RecordPlace> places;
  std::vector<datasets::Relation> relations;
  std::vector<datasets::Entity> entities;
  std::vector<datasets::Fact> facts;
  std::vector<datasets::MissingEnd> ends;
  std::vector<datasets::ExplicitEdit> edits;
  std::vector<datasets::MultiHopCase> cases;
  std::vector<std::string> skips;
  std::vector<std::string> remarks;
};

inline RecordingSink read_format(std::string_view format, const datasets::ImportOptions& options) {
  RecordingSink sink;
  datasets::import_format(format).read(options, sink);
  return sink;
}

/// An invented file of this folder.
inline std::filesystem::path sample(const std::string& name) {
  return std::filesystem::path(ERRATA_SOURCE_DIR) / "tests/datasets/samples" / name;
}

} // namespace errata::testing_support
