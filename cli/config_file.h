#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace CLI {
class App;
} // namespace CLI

namespace errata::cli {

/// The arguments that say what `options`, an object of long option names and values, says to
/// `command`. An unknown key is `kInvalidArgument` and names `where` and the nearest option.
std::vector<std::string> option_arguments(
    const CLI::App& command, const nlohmann::json& options, const std::string& where);

/// Expands `--config FILE.json` of the chosen command into arguments: the file is one object whose
/// keys are long option names without dashes. Options on the command line win over the file. An
/// unknown key is `kInvalidArgument` and names the nearest option.
std::vector<std::string> expand_config(const CLI::App& app, std::vector<std::string> arguments);

} // namespace errata::cli
