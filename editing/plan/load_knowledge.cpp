#include "editing/plan/knowledge.h"
#include "editing/store/edit_store.h"

namespace errata::editing {

Knowledge load_knowledge(const EditStore& store) {
  Knowledge knowledge;
  knowledge.relations = store.relations();
  knowledge.facts = store.all_facts();
  for (datasets::Entity& entity : store.entities()) {
    if (!entity.aliases.empty()) {
      knowledge.aliases.emplace(std::move(entity.name), std::move(entity.aliases));
    }
  }
  knowledge.cases = store.multi_hop();
  return knowledge;
}

} // namespace errata::editing
