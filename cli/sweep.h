#pragma once

#include "cli/command.h"

#include <map>
#include <string>
#include <vector>

namespace errata::cli {

struct SweepOptions {
  std::string plan;
  std::map<std::string, std::string> given; ///< instead of the plan's defaults: model, store
  std::string out;
  std::vector<std::string> only; ///< rows; empty: all
  bool dry_run = false;
};

/// Makes the runs of a plan that are not there yet, each as edit-batch does in
/// OUT/<row>/seed-<seed>, and puts their figures into one table (docs/formats/sweep.md). A run that
/// fails is reported and the others go on; then the first failure is thrown, after all is written.
void sweep(const SweepOptions& options, const CommonOptions& common, const Streams& streams);

} // namespace errata::cli
