#include "cli/command.h"
#include "cli/progress_display.h"
#include "core/base/log.h"
#include "core/device.h"

#include <CLI/CLI.hpp>

#include <ostream>

namespace errata::cli {

std::shared_ptr<CommonOptions> add_common(
    CLI::App& command, const std::vector<std::string>& dtypes) {
  auto options = std::make_shared<CommonOptions>();
  const std::string group = "Common";
  command.add_flag("--json", options->json, "One JSON document on stdout")->group(group);
  command.add_option("--device", options->device, "cpu, cuda or cuda:N")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--dtype", options->dtype, "Of weights and activations; auto: what is fast here")
      ->check(CLI::IsMember(dtypes))
      ->capture_default_str()
      ->group(group);
  command.add_option("--threads", options->threads, "0: one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", options->seed, "Of everything random")
      ->capture_default_str()
      ->group(group);
  command.add_option("--progress", options->progress, "How long work is shown on stderr")
      ->check(CLI::IsMember({"auto", "bar", "plain", "json", "none"}))
      ->capture_default_str()
      ->group(group);
  command.add_option("--config", options->config, "JSON object of long option names and values")
      ->group(group);
  command.parse_complete_callback([options] {
    configure_runtime(options->threads);
    set_log_sink(options->progress == "none" ? stderr_log(LogLevel::kWarning) : stderr_log());
  });
  return options;
}

ProgressCallback CommonOptions::progress_callback(const Streams& streams) const {
  return make_progress_display(progress, streams.err);
}

} // namespace errata::cli
