#pragma once

#include "cli/edit_setup.h"

namespace errata::cli {

/// Asks the base the open questions of the plan; null where they are not to be rehearsed.
editing::SharedDocuments echo_of(
    const EditSetup& setup, Model& base, const ProgressCallback& progress);

/// What must stay where neither the store nor the user says it: text of the base's own, for what
/// measures its inputs (`--null-space`, `--init eva`); null where there is no need of it.
editing::SharedDocuments own_text_of(
    const EditSetup& setup, Model& base, const ProgressCallback& progress);

/// What the editor learns from. Refers to `setup` and the tokenizer, which must outlive it.
editing::EditInput edit_input(
    const EditSetup& setup,
    const Tokenizer& tokenizer,
    editing::SharedDocuments echo,
    editing::SharedDocuments own_text);

} // namespace errata::cli
