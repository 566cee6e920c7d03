#include "datasets/importers/yaml_elements.h"

#include "core/base/files.h"

#include <fstream>
#include <utility>
#include <vector>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace errata::datasets {
namespace {

/// Puts the parser's events together to one element after the other.
class ElementBuilder : public YAML::EventHandler {
 public:
  using Visit = std::function<void(const Json&, std::int64_t, std::int64_t)>;

  ElementBuilder(std::string name, const Visit& visit) : name_(std::move(name)), visit_(visit) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    ERRATA_CHECK(
        !std::exchange(in_document_, true),
        ErrorCode::kCorrupt,
        where(mark),
        ": a second document; expected one list of records");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(mark, nullptr); }
  void OnScalar(
      const YAML::Mark& mark,
      const std::string&,
      YAML::anchor_t,
      const std::string& value) override {
    add(mark, value);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    ERRATA_FAIL(
        ErrorCode::kUnsupported, where(mark), ": an alias (*name); write its value out instead");
  }
  void OnSequenceStart(
      const YAML::Mark& mark,
      const std::string&,
      YAML::anchor_t,
      YAML::EmitterStyle::value) override {
    if (!in_list_) {
      in_list_ = true;
      return;
    }
    push(mark, Json::array());
  }
  void OnMapStart(
      const YAML::Mark& mark,
      const std::string&,
      YAML::anchor_t,
      YAML::EmitterStyle::value) override {
    push(mark, Json::object());
  }
  void OnSequenceEnd() override {
    if (open_.empty()) {
      done_ = true;
    } else {
      pop();
    }
  }
  void OnMapEnd() override { pop(); }

  bool done() const { return done_; }

 private:
  /// A list or map that has begun; of a map also the key that waits for its value.
  struct Open {
    Json value;
    YAML::Mark mark;
    std::string key;
    bool has_key = false;
  };

  std::string where(const YAML::Mark& mark) const { return concat(name_, ':', mark.line + 1); }

  void push(const YAML::Mark& mark, Json value) {
    require_list(mark);
    ERRATA_CHECK(
        open_.size() < static_cast<std::size_t>(kDeepestJson),
        ErrorCode::kCorrupt,
        where(mark),
        ": lists and maps are nested more than ",
        kDeepestJson,
        " deep");
    ERRATA_CHECK(
        open_.empty() || !open_.back().value.is_object() || open_.back().has_key,
        ErrorCode::kCorrupt,
        where(mark),
        ": a key that is not a text");
    open_.push_back({std::move(value), mark, {}, false});
  }

  void pop() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    add(closed.mark, std::move(closed.value));
  }

  void require_list(const YAML::Mark& mark) const {
    ERRATA_CHECK(
        in_list_ && !done_, ErrorCode::kCorrupt, where(mark), ": expected a list of records");
  }

  void add(const YAML::Mark& mark, Json value) {
    require_list(mark);
    if (open_.empty()) {
      visit_(value, mark.line + 1, mark.pos);
      return;
    }
    Open& parent = open_.back();
    if (parent.value.is_array()) {
      parent.value.push_back(std::move(value));
    } else if (parent.has_key) {
      parent.has_key = false;
      parent.value[parent.key] = std::move(value);
    } else {
      ERRATA_CHECK(
          value.is_string(), ErrorCode::kCorrupt, where(mark), ": a key that is not a text");
      parent.key = value.get<std::string>();
      parent.has_key = true;
    }
  }

  std::string name_;
  const Visit& visit_;
  bool in_document_ = false;
  bool in_list_ = false;
  bool done_ = false;
  std::vector<Open> open_;
};

} // namespace

void read_yaml_list(
    const std::filesystem::path& path,
    const std::function<void(const Json& value, std::int64_t line, std::int64_t byte)>& visit) {
  require_file(path);
  std::ifstream in(path, std::ios::binary);
  ERRATA_CHECK(in.good(), ErrorCode::kIo, "cannot open ", path.string());
  ElementBuilder builder(path.string(), visit);
  try {
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    ERRATA_FAIL(
        ErrorCode::kCorrupt, path.string(), ':', error.mark.line + 1, ": not YAML: ", error.msg);
  }
  ERRATA_CHECK(!in.bad(), ErrorCode::kIo, "cannot read ", path.string());
  ERRATA_CHECK(
      builder.done(), ErrorCode::kCorrupt, path.string(), ":1: expected a list of records");
}

} // namespace errata::datasets
