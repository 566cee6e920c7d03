#include "core/base/error.h"
#include "editing/store/set_records.h"
#include "editing/store/text_check.h"

#include <algorithm>
#include <array>

namespace errata::editing {

using datasets::Hop;
using datasets::MultiHopCase;

namespace {

struct TextKind {
  const char* name;
  std::vector<std::string> MultiHopCase::*list;
};

constexpr std::array<TextKind, 4> kTexts = {{
    {"question", &MultiHopCase::questions},
    {"answer_alias", &MultiHopCase::answer_aliases},
    {"new_answer_alias", &MultiHopCase::new_answer_aliases},
    {"edit", &MultiHopCase::edit_ids},
}};

} // namespace

void check(const MultiHopCase& item) {
  require_name(item.id, "the id of a multi-hop case");
  const std::string what = "a text of multi-hop case '" + brief({item.id}) + "'";
  require_text(item.start, what);
  require_text(item.edited_hop, what);
  require_text(item.answer, what);
  require_text(item.new_answer, what);
  for (const TextKind& kind : kTexts) {
    require_names(item.*kind.list, what);
  }
  for (const auto* chain : {&item.chain, &item.chain_new}) {
    for (const Hop& hop : *chain) {
      require_names({hop.subject, hop.relation, hop.object}, what);
    }
    const auto broken =
        std::adjacent_find(chain->begin(), chain->end(), [](const Hop& hop, const Hop& next) {
          return hop.object != next.subject;
        });
    ERRATA_CHECK(
        broken == chain->end(),
        ErrorCode::kInvalidArgument,
        "multi-hop case '",
        brief({item.id}),
        "': the chain breaks after ",
        broken == chain->end() ? "" : brief({broken->subject, broken->relation, broken->object}),
        "; expected each hop to start where the one before ends");
  }
  ERRATA_CHECK(
      !item.questions.empty(),
      ErrorCode::kInvalidArgument,
      "multi-hop case '",
      brief({item.id}),
      "' has no question");
}

MultiHopCase read_case(Database& database, const Query& row) {
  MultiHopCase item;
  const std::int64_t id = row.integer(0);
  item.id = row.text(1);
  item.start = row.text(2);
  item.changed = row.integer(3) != 0;
  item.edited_hop = row.text(4);
  item.answer = row.text(5);
  item.new_answer = row.text(6);
  Query hop = database.query(
      "SELECT day, subject, relation, object FROM case_hops WHERE case_id = ?1 "
      "ORDER BY day, position");
  hop.bind(id);
  while (hop.step()) {
    (hop.integer(0) == 0 ? item.chain : item.chain_new)
        .push_back({hop.text(1), hop.text(2), hop.text(3)});
  }
  for (const TextKind& kind : kTexts) {
    Query text = database.query(
        "SELECT text FROM case_texts WHERE case_id = ?1 AND kind = ?2 ORDER BY position");
    text.bind(id, kind.name);
    while (text.step()) {
      (item.*kind.list).push_back(text.text(0));
    }
  }
  return item;
}

void write_case(
    Database& database, std::int64_t set, std::int64_t change, const MultiHopCase& item) {
  database
      .query(
          "INSERT INTO cases (set_id, key, start, changed, edited_hop, answer, new_answer, "
          "recorded) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
      .bind(
          set,
          item.id,
          item.start,
          item.changed,
          item.edited_hop,
          item.answer,
          item.new_answer,
          change)
      .run();
  const std::int64_t id = database.last_id();
  for (int day = 0; day < 2; ++day) {
    std::int64_t position = 0;
    for (const Hop& hop : day == 0 ? item.chain : item.chain_new) {
      database.query("INSERT INTO case_hops VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
          .bind(id, day, position++, hop.subject, hop.relation, hop.object)
          .run();
    }
  }
  for (const TextKind& kind : kTexts) {
    std::int64_t position = 0;
    for (const std::string& text : item.*kind.list) {
      database.query("INSERT INTO case_texts VALUES (?1, ?2, ?3, ?4)")
          .bind(id, kind.name, position++, text)
          .run();
    }
  }
}

} // namespace errata::editing
