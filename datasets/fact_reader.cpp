#include "core/base/json.h"
#include "datasets/field_reader.h"
#include "datasets/readers.h"

namespace errata::datasets {

void read_facts(
    const std::filesystem::path& path,
    const std::function<void(const Fact& fact, std::int64_t line)>& visit) {
  read_field_lines(path, [&](const JsonFields& fields, std::int64_t line) {
    fields.reject_unknown(
        {"subject",
         "relation",
         "object",
         "valid_from",
         "valid_to",
         "aliases",
         "source",
         "note",
         "provisional"});
    Fact fact;
    fact.subject = text_field(fields, "subject");
    fact.relation = text_field(fields, "relation");
    fact.object = text_field(fields, "object");
    fact.valid_from = date_field(fields, "valid_from");
    fact.valid_to = date_field(fields, "valid_to");
    fact.aliases = list_field(fields, "aliases");
    fact.source = optional_text_field(fields, "source");
    fact.note = optional_text_field(fields, "note");
    fact.provisional = fields.optional<bool>("provisional", false);
    ERRATA_CHECK(
        !fact.valid_from || !fact.valid_to ||
            fact.valid_from->first_day() < fact.valid_to->first_day(),
        ErrorCode::kCorrupt,
        fields.where(),
        ": field 'valid_to' is ",
        to_string(fact.valid_to.value_or(Date{})),
        "; expected a day after valid_from ",
        to_string(fact.valid_from.value_or(Date{})));
    visit(fact, line);
  });
}

} // namespace errata::datasets
