#include "editing/store/import.h"

#include "core/base/error.h"
#include "core/base/interrupt.h"
#include "datasets/factbook.h"
#include "datasets/readers.h"

namespace errata::editing {
namespace {

constexpr std::int64_t kReportEvery = 512;

class Importer {
 public:
  Importer(EditStore& store, ImportReport& report, const ProgressCallback& progress)
      : store_(store), report_(report), progress_(progress) {}

  void count(Outcome outcome) {
    ++report_.read;
    ++(outcome == Outcome::kAdded        ? report_.added
       : outcome == Outcome::kSuperseded ? report_.superseded
                                         : report_.unchanged);
  }

  void relations(const std::vector<datasets::Relation>& relations) {
    for (const datasets::Relation& relation : relations) {
      count(store_.put_relation(relation));
    }
  }

  void fact(const datasets::Fact& fact, Succession succession, std::int64_t total) {
    count(store_.add(fact, succession));
    if (++facts_ % kReportEvery == 0 || facts_ == total) {
      ERRATA_CHECK(
          !interrupted(), ErrorCode::kInterrupted, "import stopped; the store is unchanged");
      errata::report(progress_, {"importing", facts_, total, "facts", {}});
    }
  }

 private:
  EditStore& store_;
  ImportReport& report_;
  const ProgressCallback& progress_;
  std::int64_t facts_ = 0;
};

void count_set(ImportReport& report, std::size_t read, std::int64_t different) {
  report.read += static_cast<std::int64_t>(read);
  report.added += different;
  report.unchanged += static_cast<std::int64_t>(read) - different;
}

} // namespace

ImportReport import_factbook(
    EditStore& store, const std::filesystem::path& directory, const ProgressCallback& progress) {
  const datasets::Factbook book = datasets::read_factbook(directory);
  ImportReport report;
  EditStore::Change change = store.begin("import", "factbook");
  Importer importer(store, report, progress);
  importer.relations(book.relations);
  for (const datasets::Entity& entity : book.entities) {
    importer.count(store.put_entity(entity));
  }
  for (const datasets::Fact& fact : book.facts) {
    importer.fact(fact, Succession::kExact, static_cast<std::int64_t>(book.facts.size()));
  }
  count_set(report, book.multi_hop.size(), store.put_multi_hop("factbook", book.multi_hop));
  report.change = change.commit();
  return report;
}

ImportReport import_facts(
    EditStore& store,
    const std::filesystem::path& facts,
    const std::filesystem::path& relations,
    const ProgressCallback& progress) {
  ImportReport report;
  EditStore::Change change = store.begin("import", facts.filename().string());
  Importer importer(store, report, progress);
  if (!relations.empty()) {
    importer.relations(datasets::read_relations(relations));
  }
  datasets::read_facts(facts, [&](const datasets::Fact& fact, std::int64_t line) {
    try {
      importer.fact(fact, Succession::kInfer, 0);
    } catch (const Error& error) {
      throw Error(
          error.code(),
          concat(facts.string(), ":", line, ": ", error.what()),
          error.file(),
          error.line());
    }
  });
  report.change = change.commit();
  return report;
}

ImportReport import_relations(EditStore& store, const std::filesystem::path& relations) {
  const auto read = datasets::read_relations(relations);
  ImportReport report;
  EditStore::Change change = store.begin("import", relations.filename().string());
  Importer(store, report, {}).relations(read);
  report.change = change.commit();
  return report;
}

ImportReport import_multi_hop(
    EditStore& store, const std::filesystem::path& file, std::string_view set) {
  const auto cases = datasets::read_multi_hop(file);
  ImportReport report;
  EditStore::Change change = store.begin("import", file.filename().string());
  count_set(report, cases.size(), store.put_multi_hop(set, cases));
  report.change = change.commit();
  return report;
}

ImportReport import_explicit_edits(
    EditStore& store, const std::filesystem::path& file, std::string_view set) {
  const auto edits = datasets::read_explicit_edits(file);
  ImportReport report;
  EditStore::Change change = store.begin("import", file.filename().string());
  count_set(report, edits.size(), store.put_edits(set, edits));
  report.change = change.commit();
  return report;
}

} // namespace errata::editing
