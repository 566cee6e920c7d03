#include "cli/command.h"
#include "cli/config_file.h"
#include "core/base/error.h"
#include "core/torch_error.h"
#include "core/version.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <new>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace errata::cli {
namespace {

int fail(std::ostream& err, ErrorCode code, const std::string& message) {
  err << "errata: " << to_string(code) << ": " << message << '\n';
  return exit_code(code);
}

} // namespace

int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  const Streams streams{out, err};
  CLI::App app("Keeps a language model's knowledge up to date", "errata");
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text());
  add_adapters(app, streams);
  add_doctor(app, streams);
  add_edit_batch(app, streams);
  add_eval(app, streams);
  add_export(app, streams);
  add_generate(app, streams);
  add_modules(app, streams);
  add_pretrain(app, streams);
  add_report(app, streams);
  add_score(app, streams);
  add_store(app, streams);
  add_sweep(app, streams);
  try {
    std::vector<std::string> arguments = expand_config(app, {argv + 1, argv + argc});
    // CLI11 takes its arguments in reverse.
    std::reverse(arguments.begin(), arguments.end());
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) { // --help, --version
      return app.exit(error, out, err);
    }
    return fail(err, ErrorCode::kInvalidArgument, concat(error.what(), " (see --help)"));
  } catch (const Error& error) {
    return fail(err, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(err, ErrorCode::kInternal, "out of memory");
  } catch (const std::exception& error) {
    return fail(err, ErrorCode::kInternal, torch_error_message(error).value_or(error.what()));
  }
  return 0;
}

} // namespace errata::cli
