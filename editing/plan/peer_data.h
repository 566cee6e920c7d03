#pragma once

#include "core/base/date.h"
#include "datasets/exporters/export_format.h"

#include <string_view>
#include <vector>

// What a store has to say to other editing programs, for the writers in datasets/exporters.

namespace errata::editing {

class EditStore;

/// Throws `kInvalidArgument`, naming the nearest, unless the store has the set.
void require_set(const EditStore& store, std::string_view set);

/// The edits and cases of a set, as they came. `kInvalidArgument` when the store has no such set.
datasets::PeerData peer_data_of_set(const EditStore& store, std::string_view set);

/// What differs between two days, in the words of the store's relations: each new value as an edit
/// with paraphrases, with unchanged facts beside it as locality probes and with the store's
/// multi-hop cases through it as portability probes; and those cases as they are on the two days.
struct PeerDifference {
  datasets::PeerData data;
  /// Ids of edits that have no new value: other programs know no removal.
  std::vector<std::string> removals;
};
PeerDifference peer_data_of_days(const EditStore& store, const Date& from, const Date& to);

} // namespace errata::editing
