#include "core/base/files.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "eval/outputs.h"

#include <utility>

namespace errata::eval {
namespace {

Ending parse_ending(const JsonFields& fields) {
  const auto name = fields.required<std::string>("ending");
  for (const Ending ending : {Ending::kEos, Ending::kStop, Ending::kLength}) {
    if (name == to_string(ending)) {
      return ending;
    }
  }
  ERRATA_FAIL(
      ErrorCode::kCorrupt,
      fields.where(),
      ": field 'ending' is '",
      name,
      "'; expected eos, stop or length; remove the file to compute it anew");
}

OrderedJson to_line(const std::string& key, const Output& output) {
  OrderedJson line = {{"task", key}, {"text", output.text}, {"ending", to_string(output.ending)}};
  if (const auto& forced = output.teacher_forced) {
    line["tokens"] = forced->tokens;
    line["exact"] = forced->exact;
    line["nll"] = forced->nll;
    line["boundary_merge"] = forced->boundary_merge;
  }
  return line;
}

Output from_line(const JsonFields& fields) {
  Output output;
  output.text = fields.required<std::string>("text");
  output.ending = parse_ending(fields);
  if (fields.has("exact")) {
    output.teacher_forced = TeacherForced{
        fields.required<double>("tokens"),
        fields.required<bool>("exact"),
        fields.required<double>("nll"),
        fields.required<bool>("boundary_merge")};
  }
  return output;
}

} // namespace

std::string output_key(const Task& task) {
  const std::string scored =
      task.teacher_forced && !task.answers.empty() ? task.answers.front() : "";
  return OrderedJson::array({to_string(task.mode), task.prompt, scored}).dump();
}

std::string_view to_string(Ending ending) noexcept {
  switch (ending) {
    case Ending::kEos:
      return "eos";
    case Ending::kStop:
      return "stop";
    case Ending::kLength:
      break;
  }
  return "length";
}

OutputCache::OutputCache(std::filesystem::path file, std::string key)
    : file_(std::move(file)), key_(std::move(key)) {
  if (!std::filesystem::exists(file_)) {
    return;
  }
  bool usable = false;
  bool header = true;
  read_json_lines(file_, [&](const Json& value, std::int64_t line) {
    const JsonFields fields(value, concat(file_.string(), ":", line));
    if (std::exchange(header, false)) {
      usable = fields.required<std::string>("key") == key_;
    } else if (usable) {
      outputs_.emplace(fields.required<std::string>("task"), from_line(fields));
    }
  });
  if (!usable) {
    log(LogLevel::kInfo, concat(file_.string(), ": answers of another model; starting anew"));
  }
}

const Output* OutputCache::find(const Task& task) const {
  const auto found = outputs_.find(output_key(task));
  return found == outputs_.end() ? nullptr : &found->second;
}

void OutputCache::insert(const Task& task, const Output& output) {
  outputs_.insert_or_assign(output_key(task), output);
}

void OutputCache::save() const {
  if (file_.empty()) {
    return;
  }
  std::string content = OrderedJson({{"errata_outputs", 1}, {"key", key_}}).dump() + "\n";
  for (const auto& [key, output] : outputs_) {
    content += to_line(key, output).dump() + "\n";
  }
  write_file(file_, content);
}

} // namespace errata::eval
