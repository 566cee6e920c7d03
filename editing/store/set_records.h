#pragma once

#include "datasets/record.h"
#include "editing/store/database.h"

namespace errata::editing {

/// The records of a set as rows. `check` throws kInvalidArgument naming the record and what is
/// wrong with it; `read_*` takes a row of the query that `k*Columns` begins (current records `c`,
/// their set `s`); `write_*` adds the rows of a record that change number `change` recorded.
inline constexpr const char* kCaseColumns =
    "SELECT c.id, c.key, c.start, c.changed, c.edited_hop, c.answer, c.new_answer FROM cases c "
    "JOIN sets s ON s.id = c.set_id WHERE c.superseded IS NULL ";
void check(const datasets::MultiHopCase& item);
datasets::MultiHopCase read_case(Database& database, const Query& row);
void write_case(
    Database& database, std::int64_t set, std::int64_t change, const datasets::MultiHopCase& item);

inline constexpr const char* kEditColumns =
    "SELECT c.id, c.key, c.prompt, c.target_new, c.subject, c.relation, c.target_true, c.effective "
    "FROM edits c JOIN sets s ON s.id = c.set_id WHERE c.superseded IS NULL ";
void check(const datasets::ExplicitEdit& edit);
datasets::ExplicitEdit read_edit(Database& database, const Query& row);
void write_edit(
    Database& database, std::int64_t set, std::int64_t change, const datasets::ExplicitEdit& edit);

} // namespace errata::editing
