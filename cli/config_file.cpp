#include "cli/config_file.h"

#include "core/base/did_you_mean.h"
#include "core/base/json.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <optional>
#include <set>

namespace errata::cli {
namespace {

constexpr std::string_view kFlag = "--config";

std::optional<std::string> config_path(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == kFlag && i + 1 < arguments.size()) {
      return arguments[i + 1];
    }
    if (arguments[i].starts_with("--config=")) {
      return arguments[i].substr(kFlag.size() + 1);
    }
  }
  return std::nullopt;
}

// The innermost subcommand that the leading words name.
const CLI::App& chosen_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* command = &app;
  for (const std::string& word : arguments) {
    const auto inner = command->get_subcommands(
        [&](const CLI::App* candidate) { return candidate->get_name() == word; });
    if (inner.empty()) {
      break;
    }
    command = inner.front();
  }
  return *command;
}

std::string as_argument(const Json& value, const std::string& where) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  ERRATA_CHECK(
      value.is_boolean() || value.is_number(),
      ErrorCode::kInvalidArgument,
      where,
      " must be a string, a number, true, false or a list of them");
  return value.dump();
}

const CLI::Option& find_option(
    const CLI::App& command, const std::string& name, const std::string& where) {
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    const auto& names = option->get_lnames();
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      return *option;
    }
    known.insert(known.end(), names.begin(), names.end());
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument, where, ": unknown key '", name, "'", did_you_mean(name, known));
}

bool given(const CLI::Option& option, const std::set<std::string>& flags) {
  return std::any_of(
      option.get_lnames().begin(), option.get_lnames().end(), [&](const std::string& name) {
        return flags.contains("--" + name);
      });
}

} // namespace

std::vector<std::string> option_arguments(
    const CLI::App& command, const Json& options, const std::string& where) {
  std::vector<std::string> arguments;
  for (const auto& [name, value] : options.items()) {
    find_option(command, name, where);
    const std::string place = concat(where, ": value of '", name, "'");
    if (value.is_array()) {
      arguments.push_back("--" + name);
      for (const Json& element : value) {
        arguments.push_back(as_argument(element, place));
      }
    } else {
      arguments.push_back(concat("--", name, '=', as_argument(value, place)));
    }
  }
  return arguments;
}

std::vector<std::string> expand_config(const CLI::App& app, std::vector<std::string> arguments) {
  const auto path = config_path(arguments);
  if (!path) {
    return arguments;
  }
  const Json document = read_json(*path);
  ERRATA_CHECK(
      document.is_object(),
      ErrorCode::kInvalidArgument,
      *path,
      ": expected a JSON object of long option names and values");
  std::set<std::string> flags;
  for (const std::string& argument : arguments) {
    flags.insert(argument.substr(0, argument.find('=')));
  }
  const CLI::App& command = chosen_command(app, arguments);
  Json missing = Json::object();
  for (const auto& [name, value] : document.items()) {
    if (!given(find_option(command, name, *path), flags)) {
      missing[name] = value;
    }
  }
  const std::vector<std::string> added = option_arguments(command, missing, *path);
  arguments.insert(arguments.end(), added.begin(), added.end());
  return arguments;
}

} // namespace errata::cli
