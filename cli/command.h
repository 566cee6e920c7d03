#pragma once

#include "core/base/progress.h"

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
} // namespace CLI

namespace errata::cli {

/// Where a command writes. Results go to `out`; log, progress and errors to `err`.
struct Streams {
  std::ostream& out;
  std::ostream& err;
};

/// The options that every command has (design: command line).
struct CommonOptions {
  bool json = false;
  std::string device = "cpu";
  std::string dtype = "auto";
  int threads = 0;
  std::uint64_t seed = 0;
  std::string progress = "auto";
  std::string config;
  bool quiet = false;

  /// Draws to `err` in the style chosen with --progress.
  ProgressCallback progress_callback(const Streams& streams) const;
};

/// Adds the common options to `command` and has threads and allocator set up once they are parsed.
/// `dtypes`: what --dtype may be.
std::shared_ptr<CommonOptions> add_common(
    CLI::App& command, const std::vector<std::string>& dtypes = {"float32", "bfloat16", "auto"});

// One registrar per subcommand, each defined in its own cmd_<name>.cpp.
void add_adapters(CLI::App& app, const Streams& streams);
void add_doctor(CLI::App& app, const Streams& streams);
void add_edit_batch(CLI::App& app, const Streams& streams);
void add_eval(CLI::App& app, const Streams& streams);
void add_export(CLI::App& app, const Streams& streams);
void add_generate(CLI::App& app, const Streams& streams);
void add_modules(CLI::App& app, const Streams& streams);
void add_pretrain(CLI::App& app, const Streams& streams);
void add_report(CLI::App& app, const Streams& streams);
void add_score(CLI::App& app, const Streams& streams);
void add_store(CLI::App& app, const Streams& streams);
void add_sweep(CLI::App& app, const Streams& streams);

/// Parses `argv`, runs the chosen subcommand and returns the exit code.
int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

} // namespace errata::cli
