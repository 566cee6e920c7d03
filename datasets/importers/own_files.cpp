#include "core/base/error.h"
#include "core/base/json.h"
#include "datasets/factbook.h"
#include "datasets/importers/import_readers.h"
#include "datasets/readers.h"

// errata's own formats (docs/formats/facts.md). A mistake in them is its author's to mend, so it is
// an error, and nothing is imported.

namespace errata::datasets {

void import_factbook(const ImportOptions& options, ImportSink& sink) {
  const Factbook book = read_factbook(options.path.empty() ? factbook_directory() : options.path);
  for (const Relation& relation : book.relations) {
    sink.relation(relation);
  }
  for (const Entity& entity : book.entities) {
    sink.entity(entity);
  }
  for (const Fact& fact : book.facts) {
    sink.fact(fact, MissingEnd::kOpen);
  }
  for (const MultiHopCase& item : book.multi_hop) {
    sink.multi_hop(item);
  }
}

void import_facts(const ImportOptions& options, ImportSink& sink) {
  if (!options.relations.empty()) {
    for (const Relation& relation : read_relations(options.relations)) {
      sink.relation(relation);
    }
  }
  read_facts(options.path, [&](const Fact& fact, std::int64_t line) {
    sink.record({concat(options.path.string(), ':', line)});
    sink.fact(fact, MissingEnd::kNotStated);
  });
}

void import_relations(const ImportOptions& options, ImportSink& sink) {
  for (const Relation& relation : read_relations(options.path)) {
    sink.relation(relation);
  }
}

void import_multi_hop(const ImportOptions& options, ImportSink& sink) {
  read_multi_hop(options.path, [&](const MultiHopCase& item, std::int64_t line) {
    sink.record({concat(options.path.string(), ':', line)});
    sink.multi_hop(item);
  });
}

void import_edits(const ImportOptions& options, ImportSink& sink) {
  read_explicit_edits(options.path, [&](const ExplicitEdit& edit, std::int64_t line) {
    sink.record({concat(options.path.string(), ':', line)});
    sink.edit(edit);
  });
}

} // namespace errata::datasets
