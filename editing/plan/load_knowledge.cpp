#include "editing/plan/knowledge.h"
#include "editing/store/edit_store.h"

namespace errata::editing {

Knowledge load_knowledge(const EditStore& store) {
  Knowledge knowledge = load_vocabulary(store);
  knowledge.facts = store.all_facts();
  knowledge.cases = store.multi_hop();
  return knowledge;
}

Knowledge load_vocabulary(const EditStore& store) {
  Knowledge knowledge;
  knowledge.relations = store.relations();
  for (datasets::Entity& entity : store.entities()) {
    if (!entity.aliases.empty()) {
      knowledge.aliases.emplace(std::move(entity.name), std::move(entity.aliases));
    }
  }
  return knowledge;
}

} // namespace errata::editing
