#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
} // namespace CLI

namespace errata::cli {

/// Expands `--config FILE.json` of the chosen command into arguments: the file is one object whose
/// keys are long option names without dashes. Options on the command line win over the file. An
/// unknown key is `kInvalidArgument` and names the nearest option.
std::vector<std::string> expand_config(const CLI::App& app, std::vector<std::string> arguments);

} // namespace errata::cli
