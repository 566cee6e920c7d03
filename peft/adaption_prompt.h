#pragma once

#include "peft/adapter_types.h"

namespace errata::peft {

/// LLaMA-Adapter (2303.16199): PEFT's ADAPTION_PROMPT. In the last layers queries also look at a
/// trained prompt, whose part a gate that starts at zero lets in. PEFT knows Llama, Mistral and
/// GPT-2 (where it adds after the output projection, as is done here); on other families the
/// adapter is errata's alone.
const AdapterType& adaption_prompt_type();

} // namespace errata::peft
