#pragma once

#include <cstdint>
#include <string>

namespace errata::peft {

/// A GGUF file's name and its parts, by the convention `<base>-<size>-<fine-tune>-<version>-
/// <encoding>-LoRA.gguf`.
struct GgufFileName {
  std::string model; ///< the whole name of what was tuned, for the file's keys
  std::string base;
  std::string size; ///< of the base model: "1B"
  std::string fine_tune;
  std::string version = "v1.0";
  std::string encoding; ///< "F32"

  std::string text() const;
};

/// From the model directory's name, in which a size ("1b") parts base and fine-tune; without one
/// the count of parameters gives it. `adapter` names what was tuned, and is appended.
GgufFileName gguf_file_name(
    const std::string& model,
    std::int64_t parameters,
    const std::string& adapter,
    const std::string& encoding);

} // namespace errata::peft
