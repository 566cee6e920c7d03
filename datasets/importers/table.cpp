#include "core/base/did_you_mean.h"
#include "datasets/importers/csv_rows.h"
#include "datasets/importers/import_readers.h"
#include "datasets/importers/record_reader.h"
#include "datasets/importers/table_mapping.h"

#include <algorithm>

// A table of one's own: CSV, TSV or JSON lines, and a mapping that says what its columns mean.

namespace errata::datasets {
namespace {

std::optional<Date> date_of(
    const FieldSource& source, const ColumnValues& columns, const std::string& where) {
  const std::string text = source.value(columns);
  if (text.empty()) {
    return std::nullopt;
  }
  const auto date = try_parse_date(text);
  ERRATA_CHECK(
      date.has_value(),
      ErrorCode::kCorrupt,
      where,
      ": '",
      text.substr(0, 40),
      "' is not a date; expected YYYY, YYYY-MM or YYYY-MM-DD of the calendar");
  return date;
}

std::string require_value(
    const TableMapping& mapping,
    const char* name,
    const ColumnValues& columns,
    const std::string& where) {
  std::string text = mapping.field(name).value(columns);
  ERRATA_CHECK(!text.empty(), ErrorCode::kCorrupt, where, ": no ", name);
  return text;
}

Fact fact_of(const TableMapping& mapping, const ColumnValues& columns, const std::string& where) {
  Fact fact;
  fact.subject = require_value(mapping, "subject", columns, where);
  fact.relation = require_value(mapping, "relation", columns, where);
  fact.object = require_value(mapping, "object", columns, where);
  fact.valid_from = date_of(mapping.field("valid_from"), columns, where);
  fact.valid_to = date_of(mapping.field("valid_to"), columns, where);
  fact.aliases = mapping.field("aliases").values(columns);
  fact.source = mapping.field("source").value(columns);
  fact.note = mapping.field("note").value(columns);
  const std::string provisional = mapping.field("provisional").value(columns);
  ERRATA_CHECK(
      provisional.empty() || provisional == "true" || provisional == "false",
      ErrorCode::kCorrupt,
      where,
      ": provisional is '",
      provisional.substr(0, 40),
      "'; expected true, false or nothing");
  fact.provisional = provisional == "true";
  return fact;
}

// A row may have no prompt for a probe; a prompt without an answer is told to the sink.
std::vector<Probe> probes_of(
    const std::vector<ProbeSource>& sources,
    const char* name,
    const ColumnValues& columns,
    const std::string& where,
    ImportSink& sink) {
  std::vector<Probe> probes;
  for (const ProbeSource& source : sources) {
    Probe probe{source.prompt.value(columns), source.answers.values(columns), source.kind};
    if (probe.prompt.empty()) {
      continue;
    }
    if (probe.answers.empty()) {
      sink.remark(concat(
          where, ": ", name, " '", probe.prompt.substr(0, 40), "' left out: it has no answer"));
      continue;
    }
    probes.push_back(std::move(probe));
  }
  return probes;
}

ExplicitEdit edit_of(
    const TableMapping& mapping,
    const ColumnValues& columns,
    const std::string& where,
    std::int64_t index,
    ImportSink& sink) {
  ExplicitEdit edit;
  edit.id = mapping.field("id").value(columns);
  if (edit.id.empty()) {
    edit.id = std::to_string(index);
  }
  edit.prompt = require_value(mapping, "prompt", columns, where);
  edit.target_new = require_value(mapping, "target_new", columns, where);
  edit.target_aliases = mapping.field("target_aliases").values(columns);
  edit.subject = mapping.field("subject").value(columns);
  edit.relation = mapping.field("relation").value(columns);
  edit.target_true = mapping.field("target_true").value(columns);
  edit.paraphrases = mapping.field("paraphrases").values(columns);
  edit.generation = mapping.field("generation").values(columns);
  edit.effective = date_of(mapping.field("effective"), columns, where);
  edit.locality = probes_of(mapping.locality, "locality", columns, where, sink);
  edit.portability = probes_of(mapping.portability, "portability", columns, where, sink);
  return edit;
}

/// Hands on the rows of a table, whatever its file is like.
class TableReader {
 public:
  TableReader(TableMapping mapping, const std::filesystem::path& path, ImportSink& sink)
      : mapping_(std::move(mapping)), path_(path), sink_(sink) {}

  void read_json_rows() {
    read_records(path_, sink_, [&](const JsonRecord& record) {
      take(record.fields.where(), record.index, [&](const std::string& column) {
        return json_values(record.fields, column);
      });
    });
  }

  void read_csv(char delimiter) {
    CsvRows rows(path_, delimiter);
    std::int64_t index = 0;
    while (rows.next()) {
      if (names_.empty()) {
        read_header(rows);
        if (mapping_.header) {
          continue;
        }
      }
      const RecordPlace place{rows.where(), rows.byte()};
      take_record(sink_, place, [&] { take_cells(rows.cells(), place.where, index); });
      ++index;
    }
  }

 private:
  void take(const std::string& where, std::int64_t index, const ColumnValues& columns) {
    if (mapping_.holds == TableMapping::Holds::kFacts) {
      sink_.fact(fact_of(mapping_, columns, where), MissingEnd::kNotStated);
    } else {
      sink_.edit(edit_of(mapping_, columns, where, index, sink_));
    }
  }

  void take_cells(
      const std::vector<std::string>& cells, const std::string& where, std::int64_t index) {
    ERRATA_CHECK(
        cells.size() == names_.size(),
        ErrorCode::kCorrupt,
        where,
        ": ",
        cells.size(),
        " cells; expected ",
        names_.size());
    take(where, index, [&](const std::string& column) {
      const auto place = std::find(names_.begin(), names_.end(), column) - names_.begin();
      return std::vector<std::string>{cells[static_cast<std::size_t>(place)]};
    });
  }

  // Without a header columns are called 1, 2, 3. A column that is missing would be missing in every
  // row, so that is an error of the mapping.
  void read_header(const CsvRows& rows) {
    for (std::size_t i = 0; i < rows.cells().size(); ++i) {
      names_.push_back(mapping_.header ? rows.cells()[i] : std::to_string(i + 1));
    }
    for (const std::string& column : mapping_.columns()) {
      ERRATA_CHECK(
          std::find(names_.begin(), names_.end(), column) != names_.end(),
          ErrorCode::kNotFound,
          rows.where(),
          ": no column '",
          column,
          "'",
          did_you_mean(column, names_));
    }
  }

  // Dots lead into objects: `labels.en`.
  static std::vector<std::string> json_values(const JsonFields& fields, const std::string& column) {
    const Json* value = fields.find(column);
    if (value == nullptr) {
      value = &fields.value();
      std::size_t start = 0;
      while (value != nullptr && start <= column.size()) {
        const auto dot = std::min(column.find('.', start), column.size());
        const std::string name = column.substr(start, dot - start);
        value = value->is_object() && value->contains(name) ? &value->at(name) : nullptr;
        start = dot + 1;
      }
    }
    if (value != nullptr && value->is_boolean()) {
      return {value->dump()};
    }
    return value == nullptr ? std::vector<std::string>() : texts_of(*value, fields, column);
  }

  TableMapping mapping_;
  std::filesystem::path path_;
  ImportSink& sink_;
  std::vector<std::string> names_;
};

} // namespace

void import_table(const ImportOptions& options, ImportSink& sink) {
  ERRATA_CHECK(
      !options.mapping.empty(),
      ErrorCode::kInvalidArgument,
      "--format table needs --mapping FILE.json: what the columns mean");
  TableMapping mapping = read_table_mapping(options.mapping);
  for (const Relation& relation : mapping.relations) {
    sink.wordings(relation);
  }
  const std::string extension = options.path.extension().string();
  const char delimiter = mapping.delimiter != '\0' ? mapping.delimiter
                         : extension == ".tsv"     ? '\t'
                                                   : ',';
  TableReader reader(std::move(mapping), options.path, sink);
  if (extension == ".jsonl" || extension == ".json") {
    reader.read_json_rows();
  } else {
    reader.read_csv(delimiter);
  }
}

} // namespace errata::datasets
