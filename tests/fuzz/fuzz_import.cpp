// A libFuzzer target for every import format: ERRATA_FUZZ_FORMAT names it (tests/fuzz/run.sh), and
// ERRATA_FUZZ_INPUT says what the bytes are when the format reads several kinds of file.
// Whatever bytes a file holds, a reader hands on records, reasons or an errata::Error of one line.

#include "core/base/error.h"
#include "datasets/importers/import_format.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/mman.h>
#include <system_error>
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
    require(
        !fact.subject.empty() && !fact.relation.empty() && !fact.object.empty(),
        "a fact with an empty name");
    size_ += fact.subject.size() + fact.object.size();
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

/// A file in memory that holds one input after the other, under a name of one's choice: the ending
/// decides how a table is read.
class Input {
 public:
  explicit Input(const std::string& name)
      : file_(::memfd_create("input", 0)),
        path_(std::filesystem::temp_directory_path() / (std::to_string(::getpid()) + "-" + name)) {
    std::filesystem::create_symlink("/proc/self/fd/" + std::to_string(file_), path_);
  }
  ~Input() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  const std::filesystem::path& hold(const std::uint8_t* data, std::size_t size) const {
    if (::ftruncate(file_, 0) != 0 ||
        ::pwrite(file_, data, size, 0) != static_cast<ssize_t>(size)) {
      std::perror("input");
      std::abort();
    }
    return path_;
  }

 private:
  int file_;
  std::filesystem::path path_;
};

const char* variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ImportFormat& format = import_format(variable("ERRATA_FUZZ_FORMAT", "mquake"));
  static const std::string samples = variable("ERRATA_FUZZ_SAMPLES", "tests/datasets/samples");
  static const std::string kind = variable("ERRATA_FUZZ_INPUT", "");
  static const Input input(kind == "rows" ? "input.jsonl" : "input");
  ImportOptions options;
  options.path = input.hold(data, size);
  options.mapping = samples + (kind == "rows" ? "/edits_mapping.json" : "/table_mapping.json");
  if (format.name == "yago11k") {
    options.entities = samples + "/entity2id.txt";
    options.relations = samples + "/relation2id.txt";
  }
  if (kind == "mapping") { // the bytes are the mapping, the table is the sample
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
  return 0;
}
