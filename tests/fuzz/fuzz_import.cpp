// A libFuzzer target for every import format: ERRATA_FUZZ_FORMAT names it (tests/fuzz/run.sh).
// Whatever bytes a file holds, a reader hands on records, reasons or an errata::Error of one line.

#include "core/base/error.h"
#include "datasets/importers/import_format.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using errata::ErrorCode;
using namespace errata::datasets;

/// Looks at what it is given, so that the sanitizers see a read of freed memory.
class CountingSink : public ImportSink {
 public:
  void record(const RecordPlace& place) override { size_ += place.where.size(); }
  void relation(const Relation& relation) override { size_ += relation.name.size(); }
  void wordings(const Relation& relation) override { size_ += relation.name.size(); }
  void entity(const Entity& entity) override { size_ += entity.name.size(); }
  void fact(const Fact& fact, MissingEnd) override {
    size_ += fact.subject.size() + fact.object.size();
    require(!fact.subject.empty() || !fact.relation.empty(), "an empty fact");
  }
  void edit(const ExplicitEdit& edit) override {
    size_ += edit.prompt.size();
    require(!edit.id.empty() && !edit.target_new.empty(), "an edit without id or target");
  }
  void multi_hop(const MultiHopCase& item) override {
    size_ += item.questions.size();
    require(!item.chain_new.empty() && !item.questions.empty(), "a case without chain or question");
  }
  void skipped(const std::string& reason) override { one_line(reason); }
  void remark(const std::string& reason) override { one_line(reason); }

  void one_line(const std::string& reason) {
    size_ += reason.size();
    require(!reason.empty() && reason.find('\n') == std::string::npos, reason.c_str());
  }

 private:
  static void require(bool condition, const char* what) {
    if (!condition) {
      std::fprintf(stderr, "broken promise: %s\n", what);
      std::abort();
    }
  }

  std::size_t size_ = 0;
};

const char* variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ImportFormat& format = import_format(variable("ERRATA_FUZZ_FORMAT", "mquake"));
  static const std::string samples = variable("ERRATA_FUZZ_SAMPLES", "tests/datasets/samples");
  static const std::string extension = variable("ERRATA_FUZZ_EXTENSION", "");
  const int file = ::memfd_create("input", 0);
  if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) {
    std::perror("memfd");
    std::abort();
  }
  ImportOptions options;
  options.path = "/proc/self/fd/" + std::to_string(file);
  options.mapping = samples + "/table_mapping.json";
  if (format.name == "yago11k") {
    options.entities = samples + "/entity2id.txt";
    options.relations = samples + "/relation2id.txt";
  }
  if (extension == "mapping") { // the bytes are the mapping, the table is the sample
    options.mapping = options.path;
    options.path = samples + "/table.csv";
  }
  CountingSink sink;
  try {
    format.read(options, sink);
  } catch (const errata::Error& error) {
    sink.one_line(error.what());
    if (error.code() == ErrorCode::kInternal || error.code() == ErrorCode::kIo) {
      std::fprintf(stderr, "unexpected kind of error: %s\n", error.what());
      std::abort();
    }
  }
  ::close(file);
  return 0;
}
