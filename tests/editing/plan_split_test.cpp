#include "datasets/factbook.h"
#include "editing/plan/batches.h"
#include "editing/plan/edit_documents.h"
#include "editing/plan/pretrain_documents.h"
#include "tests/editing/plan_support.h"

#include <gtest/gtest.h>

#include <set>
#include <unordered_set>

// Proof of the split: no question, fact or chain that an evaluation uses is trained on.

namespace errata::editing {
namespace {

using datasets::Hop;
using datasets::MultiHopCase;
using testing::factbook_knowledge;
using testing::guild_knowledge;
using testing::PhraseIndex;
using testing::StepReader;

constexpr std::size_t kPretrainDocuments = 200'000;
constexpr std::size_t kEditDocuments = 100'000;

std::vector<Hop> all_facts(const Knowledge& knowledge, const std::vector<Date>& days) {
  std::set<Hop> hops;
  for (const Date& day : days) {
    const World world(knowledge, day);
    for (const auto& list : {world.single_facts(), world.inverse_facts()}) {
      hops.insert(list.begin(), list.end());
    }
  }
  return {hops.begin(), hops.end()};
}

struct Setting {
  const Knowledge* knowledge;
  Date from;
  Date to;
  std::size_t pretrain;
  std::size_t edit;
  std::string batches = "once"; ///< how the difference is cut

  std::vector<BatchSpan> spans() const { return batch_spans(*knowledge, from, to, batches); }
  std::vector<Date> days() const {
    std::vector<Date> days = {from, to};
    for (const BatchSpan& span : spans()) {
      days.push_back(span.to);
    }
    return days;
  }
};

class SplitCheck {
 public:
  explicit SplitCheck(const Setting& setting)
      : setting_(setting),
        knowledge_(*setting.knowledge),
        words_(knowledge_),
        pretrain_(make_pretrain_plan(knowledge_, setting.from, PretrainOptions{})),
        plan_(make_edit_plan(
            knowledge_,
            setting.from,
            setting.to,
            difference(World(knowledge_, setting.from), World(knowledge_, setting.to)))),
        facts_(all_facts(knowledge_, setting.days())),
        reader_(knowledge_, facts_) {
    if (setting_.batches != "once") {
      drop_passing_changes(plan_, knowledge_, setting_.spans());
    }
    forbid_questions();
    forbid_chains();
    forbid_kept();
    forbid_kept_history();
  }

  void run() {
    const auto pretrain = pretrain_documents(pretrain_, words_, 11);
    for (std::size_t i = 0; i < setting_.pretrain && !::testing::Test::HasFailure(); ++i) {
      check_questions_and_chains(pretrain->next());
    }
    std::set<std::string> kinds;
    if (setting_.batches == "once") {
      check_plan(plan_, setting_.edit, kinds);
    }
    const std::vector<BatchSpan> spans = setting_.spans();
    for (const BatchSpan& span : spans) {
      const EditPlan plan = batch_plan(
          knowledge_,
          span,
          difference(World(knowledge_, span.from), World(knowledge_, span.to)),
          setting_.from,
          {});
      check_plan(plan, setting_.edit / spans.size(), kinds);
    }
    EXPECT_TRUE(kinds.contains("ripple.reasoning"));
    EXPECT_TRUE(kinds.contains("dated.question"));
    EXPECT_TRUE(kinds.contains("rehearsal.question"));
    EXPECT_GT(held_out_.size(), facts_.size() / 2);
    EXPECT_GT(chains_read_, setting_.edit / 20);
  }

 private:
  // What the documents of a plan say, its own or that of a batch.
  void check_plan(const EditPlan& plan, std::size_t count, std::set<std::string>& kinds) {
    const auto edit = edit_documents(plan, words_, AugmentOptions(), 12);
    for (std::size_t i = 0; i < count && !::testing::Test::HasFailure(); ++i) {
      const Document document = edit->next();
      check_questions_and_chains(document);
      check_kept(document);
      kinds.insert(document.kind);
    }
    for (const Document& document : edit_examples(plan, words_)) {
      check_questions_and_chains(document);
    }
  }

  void forbid_questions() {
    for (const Hop& hop : facts_) {
      held_out_.add(words_.held_out_question(hop.subject, hop.relation) + "\n");
    }
    for (const auto* items : {&pretrain_.history, &plan_.history}) {
      for (const HistoryItem& item : *items) {
        held_out_.add(
            words_.held_out_dated_question(item.fact.subject, item.fact.relation, item.year) +
            "\n");
      }
    }
    for (const MultiHopCase& item : knowledge_.cases) {
      for (const std::string& question : item.questions) {
        held_out_.add(question + "\n");
      }
    }
  }

  /// All wordings of evaluated and development chains, whichever the evaluation will use.
  void forbid_chains() {
    const auto forbid = [&](const Chain& chain) {
      if (chain.empty()) {
        return;
      }
      chain_keys_.insert(chain_key(chain));
      for (const std::string& question : testing::all_chain_questions(knowledge_, chain)) {
        chain_questions_.insert(direct_prompt(question));
        chain_questions_.insert(reasoning_prompt(question));
      }
    };
    for (const std::vector<MultiHopCase>* cases :
         std::initializer_list<const std::vector<MultiHopCase>*>{
             &knowledge_.cases, &plan_.development_cases, &pretrain_.development_cases}) {
      for (const MultiHopCase& item : *cases) {
        forbid(item.chain);
        forbid(item.chain_new);
      }
    }
  }

  void forbid_kept() {
    for (const auto* list : {&plan_.kept, &plan_.kept_inverse}) {
      for (const KeptFact& kept : *list) {
        kept_identities_.insert(fact_identity(knowledge_, kept.fact));
      }
    }
    // Every fact of either day with such an identity, in every form it can be put into words.
    for (const Hop& hop : facts_) {
      if (!kept_identities_.contains(fact_identity(knowledge_, hop))) {
        continue;
      }
      for (const std::string& statement : words_.statements(hop)) {
        kept_statements_.insert("Fact: " + statement);
      }
      kept_statements_.insert("Fact: " + words_.step_sentence(hop));
      for (const std::string& question : words_.questions(hop.subject, hop.relation)) {
        kept_questions_.insert(direct_prompt(question));
        kept_questions_.insert(reasoning_prompt(question));
      }
    }
  }

  /// Past years of slots on the kept side are not rehearsed in any wording.
  void forbid_kept_history() {
    for (const HistoryItem& item : plan_.history) {
      if (item.trained) {
        continue;
      }
      for (const std::string& statement : words_.dated_statements(item.fact, item.year)) {
        kept_statements_.insert("Fact: " + statement);
      }
      const Hop& slot = item.fact;
      for (const std::string& question :
           words_.dated_questions(slot.subject, slot.relation, item.year)) {
        kept_questions_.insert(direct_prompt(question));
      }
    }
  }

  void check_questions_and_chains(const Document& document) {
    const std::string text = document.prompt + document.completion;
    EXPECT_EQ(held_out_.find_in(text), "") << document.kind << ": " << text;
    EXPECT_FALSE(chain_questions_.contains(document.prompt)) << document.kind << ": " << text;
    if (!document.prompt.ends_with("Reasoning:")) {
      return;
    }
    const Chain chain = reader_.read(document.completion);
    if (chain.size() > 1) {
      ++chains_read_;
      EXPECT_FALSE(chain_keys_.contains(chain_key(chain))) << text;
    }
  }

  void check_kept(const Document& document) {
    const std::string text = document.prompt + document.completion;
    EXPECT_FALSE(kept_statements_.contains(text)) << document.kind << ": " << text;
    EXPECT_FALSE(kept_questions_.contains(document.prompt)) << document.kind << ": " << text;
    if (document.prompt.ends_with("Reasoning:")) {
      for (const Hop& hop : reader_.read(document.completion)) {
        EXPECT_FALSE(kept_identities_.contains(fact_identity(knowledge_, hop))) << text;
      }
    }
  }

  Setting setting_;
  const Knowledge& knowledge_;
  Wordings words_;
  PretrainPlan pretrain_;
  EditPlan plan_;
  std::vector<Hop> facts_;
  StepReader reader_;
  PhraseIndex held_out_;
  std::unordered_set<std::string> kept_statements_;
  std::unordered_set<std::string> kept_questions_;
  std::unordered_set<std::string> kept_identities_;
  std::unordered_set<std::string> chain_questions_;
  std::unordered_set<std::string> chain_keys_;
  std::size_t chains_read_ = 0;
};

TEST(PlanSplitTest, FactbookTrainsOnNothingThatIsEvaluated) {
  SplitCheck({&factbook_knowledge(),
              datasets::kFactbookBase,
              datasets::kFactbookEnd,
              kPretrainDocuments,
              kEditDocuments})
      .run();
}

TEST(PlanSplitTest, BatchesTrainOnNothingThatIsEvaluated) {
  SplitCheck({&factbook_knowledge(),
              datasets::kFactbookBase,
              datasets::kFactbookEnd,
              0,
              kEditDocuments,
              "yearly"})
      .run();
}

TEST(PlanSplitTest, InventedWorldTrainsOnNothingThatIsEvaluated) {
  const Knowledge knowledge = guild_knowledge();
  SplitCheck({&knowledge, testing::kGuildsBefore, testing::kGuildsAfter, 5'000, 5'000}).run();
}

TEST(PlanSplitTest, ChainListsAvoidKeptFactsAndEvaluatedChains) {
  const Knowledge& knowledge = factbook_knowledge();
  const World before(knowledge, datasets::kFactbookBase);
  const World after(knowledge, datasets::kFactbookEnd);
  const EditPlan plan =
      make_edit_plan(knowledge, before.day(), after.day(), difference(before, after));
  std::unordered_set<std::string> kept;
  for (const auto* list : {&plan.kept, &plan.kept_inverse}) {
    for (const KeptFact& fact : *list) {
      kept.insert(fact_identity(knowledge, fact.fact));
    }
  }
  std::unordered_set<std::string> forbidden = evaluated_chains(knowledge);
  for (const MultiHopCase& item : plan.development_cases) {
    forbidden.insert(chain_key(item.chain_new));
  }
  for (const auto* chains : {&plan.ripple_chains, &plan.rehearsal_chains}) {
    for (const Chain& chain : *chains) {
      EXPECT_FALSE(forbidden.contains(chain_key(chain))) << chain_key(chain);
      for (const Hop& hop : chain) {
        EXPECT_FALSE(kept.contains(fact_identity(knowledge, hop))) << chain_key(chain);
      }
    }
  }
  // All forms of a rehearsed fact are on its side: no identity is on both.
  for (const auto* list : {&plan.rehearsed, &plan.rehearsed_inverse}) {
    for (const Hop& hop : *list) {
      EXPECT_FALSE(kept.contains(fact_identity(knowledge, hop))) << hop.subject << hop.relation;
    }
  }
}

} // namespace
} // namespace errata::editing
