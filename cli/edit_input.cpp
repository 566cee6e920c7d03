#include "cli/edit_input.h"

#include "core/base/log.h"
#include "editing/echo.h"
#include "editing/own_text.h"
#include "editing/plan/text_documents.h"

#include <algorithm>

namespace errata::cli {
namespace {

// So many that none is seen more than a few times in a usual run, sampled in seconds; a short run
// asks no more than it can come to use.
std::size_t open_question_count(const editing::EditorOptions& editor) {
  constexpr std::int64_t kMost = 8192;
  constexpr std::int64_t kTokensForEach = 128;
  return static_cast<std::size_t>(
      std::clamp<std::int64_t>(editor.steps * editor.batch_tokens / kTokensForEach, 1, kMost));
}

} // namespace

editing::SharedDocuments echo_of(
    const EditSetup& setup, Model& base, const ProgressCallback& progress) {
  if (!setup.augment.echo || setup.given_outright() || setup.editor.steps == 0) {
    return nullptr;
  }
  const editing::OpenQuestions open(setup.knowledge, *setup.wordings, setup.plan);
  return std::make_shared<const std::vector<editing::Document>>(editing::echo_documents(
      base.decoder,
      *base.tokenizer,
      base.eos,
      open,
      open_question_count(setup.editor),
      setup.editor.seed,
      progress));
}

editing::SharedDocuments own_text_of(
    const EditSetup& setup, Model& base, const ProgressCallback& progress) {
  constexpr std::size_t kForEachEdit = 16;
  constexpr std::size_t kMost = 1024;
  if (!setup.measures_inputs() || setup.stats_text || !setup.rehearses_nothing()) {
    return nullptr;
  }
  const std::size_t count = std::clamp(kForEachEdit * setup.plan.size(), std::size_t{64}, kMost);
  auto texts = std::make_shared<const std::vector<editing::Document>>(editing::own_text(
      base.decoder, *base.tokenizer, base.eos, count, setup.editor.seed, progress));
  log(LogLevel::kInfo, concat(texts->size(), " texts of the base's own stand for what must stay"));
  return texts;
}

editing::EditInput edit_input(
    const EditSetup& setup,
    const Tokenizer& tokenizer,
    editing::SharedDocuments echo,
    editing::SharedDocuments own_text) {
  editing::EditInput input = editing::make_edit_input(
      setup.plan, *setup.wordings, setup.augment, tokenizer, setup.editor.seed, std::move(echo));
  const editing::SharedDocuments& texts = own_text ? own_text : setup.stats_text;
  if (texts) {
    input.rehearsal = [texts, seed = setup.editor.seed] { return editing::shuffled(texts, seed); };
  }
  if (own_text) {
    input.rehearsal_tokens = editing::count_tokens(*own_text, tokenizer);
  }
  return input;
}

} // namespace errata::cli
