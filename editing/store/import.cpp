#include "editing/store/import.h"

#include "core/base/error.h"
#include "editing/store/store_sink.h"

namespace errata::editing {
namespace {

std::string default_set(const ImportRequest& request) {
  return request.format == "factbook" ? "factbook" : request.options.path.stem().string();
}

} // namespace

ImportReport import_file(
    EditStore& store, const ImportRequest& request, const ProgressCallback& progress) {
  const datasets::ImportFormat& format = datasets::import_format(request.format);
  const std::filesystem::path& path = request.options.path;
  ERRATA_CHECK(
      !path.empty() || request.format == "factbook",
      ErrorCode::kInvalidArgument,
      "--format ",
      request.format,
      " needs the path of a file");
  ImportReport report;
  report.set = request.set.empty() ? default_set(request) : request.set;
  EditStore::Change change =
      store.begin("import", request.format == "factbook" ? "factbook" : path.filename().string());
  StoreSink sink(store, request, report, progress);
  format.read(request.options, sink);
  ERRATA_CHECK(
      report.read > 0 || report.skipped == 0,
      ErrorCode::kCorrupt,
      path.string(),
      ": none of its ",
      report.skipped,
      " records could be taken; is it really ",
      request.format,
      "? The first: ",
      report.first_skipped.empty() ? "" : report.first_skipped.front());
  sink.finish();
  if (report.edits + report.multi_hop > 0) {
    report.conflicts = store.set_conflicts(report.set);
  }
  if (!request.dry_run) {
    report.change = change.commit();
  }
  return report;
}

ImportReport import_factbook(
    EditStore& store, const std::filesystem::path& directory, const ProgressCallback& progress) {
  ImportRequest request;
  request.format = "factbook";
  request.options.path = directory;
  return import_file(store, request, progress);
}

} // namespace errata::editing
