#pragma once

#include "datasets/record.h"

#include <set>
#include <string>
#include <vector>

namespace errata::editing {

/// Relations whose edits are the reason for the others. An edit of another relation is a
/// consequence when its subject is what a slot changed from or to (a new holder's own facts); a
/// relation in which most edits are that is not a slot of its own but injected.
std::set<std::string> leading_relations(const std::vector<datasets::Edit>& edits);

} // namespace errata::editing
