#pragma once

#include "datasets/importers/import_format.h"

// One reader a format, each in its own file; docs/formats/datasets.md says what becomes what.

namespace errata::datasets {

void import_factbook(const ImportOptions& options, ImportSink& sink);
void import_facts(const ImportOptions& options, ImportSink& sink);
void import_relations(const ImportOptions& options, ImportSink& sink);
void import_multi_hop(const ImportOptions& options, ImportSink& sink);
void import_edits(const ImportOptions& options, ImportSink& sink);

void import_mquake(const ImportOptions& options, ImportSink& sink);
void import_counterfact(const ImportOptions& options, ImportSink& sink);
void import_zsre(const ImportOptions& options, ImportSink& sink);
void import_knowedit(const ImportOptions& options, ImportSink& sink);
void import_ripple_edits(const ImportOptions& options, ImportSink& sink);
void import_wikibigedit(const ImportOptions& options, ImportSink& sink);
void import_locft(const ImportOptions& options, ImportSink& sink);
void import_easyedit(const ImportOptions& options, ImportSink& sink);
void import_fastedit(const ImportOptions& options, ImportSink& sink);

void import_dyknow(const ImportOptions& options, ImportSink& sink);
void import_yago11k(const ImportOptions& options, ImportSink& sink);
void import_congress(const ImportOptions& options, ImportSink& sink);
void import_table(const ImportOptions& options, ImportSink& sink);

} // namespace errata::datasets
