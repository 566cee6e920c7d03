#pragma once

#include "datasets/record.h"
#include "editing/store/database.h"

namespace errata::editing {

/// The records of a set as rows. `check` throws kInvalidArgument naming the record and what is
/// wrong with it; `read_*` takes a row of the columns that store_sets.cpp asks for; `write_*` adds
/// the rows of a record that change number `change` recorded.
void check(const datasets::MultiHopCase& item);
datasets::MultiHopCase read_case(Database& database, const Query& row);
void write_case(
    Database& database, std::int64_t set, std::int64_t change, const datasets::MultiHopCase& item);

void check(const datasets::ExplicitEdit& edit);
datasets::ExplicitEdit read_edit(Database& database, const Query& row);
void write_edit(
    Database& database, std::int64_t set, std::int64_t change, const datasets::ExplicitEdit& edit);

} // namespace errata::editing
