#pragma once

#include "core/base/files.h"
#include "core/base/log.h"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

namespace errata::cli {

/// The options in which the run that `path` holds differs from `identity`, with both values:
/// "'lr' was 0.01 and is now 0.02; ...". Nothing where none differs or no run is there.
std::optional<std::string> difference_of_options(
    const std::filesystem::path& path, const nlohmann::ordered_json& identity);

/// The directory of one run (docs/formats/run.md), held by one process: run.json with the resolved
/// configuration, log.txt, checkpoint/ while unfinished, results when done.
class RunDirectory {
 public:
  enum class Mode { kFresh, kResume };

  /// Creates and locks `path`. `identity` is everything that must not change between the start of a
  /// run and its continuation. A directory that already holds a run is `kInvalidArgument` unless
  /// resumed; resuming with another identity is `kInvalidArgument` and names the differences;
  /// resuming where nothing was begun begins.
  RunDirectory(
      const std::filesystem::path& path, Mode mode, const nlohmann::ordered_json& identity);
  /// A directory that was made for a run which never began is taken away again.
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoint() const { return path_ / "checkpoint"; }
  const std::string& run_id() const { return run_id_; }
  /// True when an earlier process finished this run.
  bool finished() const { return finished_; }

  /// Writes run.json: what the constructor was given, `facts` (hashes, versions, figures) and the
  /// status "running", "interrupted" or "done".
  void write_run(const nlohmann::ordered_json& facts, const std::string& status);

 private:
  std::filesystem::path path_;
  std::unique_ptr<DirectoryLock> lock_;
  std::unique_ptr<nlohmann::ordered_json> identity_;
  std::string run_id_;
  std::string started_;
  bool finished_ = false;
  bool created_ = false; ///< by this object, and no run.json is in it yet
  std::shared_ptr<std::ofstream> log_;
  LogSink previous_sink_;
};

} // namespace errata::cli
