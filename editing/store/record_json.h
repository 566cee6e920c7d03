#pragma once

#include "datasets/record.h"
#include "editing/store/store_record.h"

#include <nlohmann/json_fwd.hpp>

// The store's records as JSON, in the field names of docs/formats/facts.md. Fields that say nothing
// (empty lists and texts, false) are left out.

namespace errata::editing {

nlohmann::ordered_json to_json(const datasets::Relation& relation);
nlohmann::ordered_json to_json(const datasets::Entity& entity);
nlohmann::ordered_json to_json(const datasets::Fact& fact);
nlohmann::ordered_json to_json(const datasets::Edit& edit);
nlohmann::ordered_json to_json(const datasets::MultiHopCase& item);
nlohmann::ordered_json to_json(const datasets::ExplicitEdit& edit);
/// The fact's fields and its record time.
nlohmann::ordered_json to_json(const StoredFact& stored);

} // namespace errata::editing
