#include "datasets/importers/import_readers.h"
#include "datasets/importers/json_elements.h"
#include "datasets/importers/record_reader.h"
#include "datasets/peer_marks.h"

#include <array>
#include <memory>

// EasyEdit's edit list: an object of parallel lists, one element an edit. Every list is read by its
// own reader, all at one pace, so that none has to be held.

namespace errata::datasets {
namespace {

/// A list of the file and what its elements are.
struct Column {
  enum class Role { kField, kProbePrompt, kProbeAnswer };

  Role role = Role::kField;
  std::string name;         ///< of the field, or of the probes ("neighborhood")
  bool portability = false; ///< of probes
  std::unique_ptr<JsonElements> elements;
  Json value;
};

constexpr std::array<std::string_view, 5> kFields = {
    "prompts", "target_new", "ground_truth", "subject", "rephrase_prompts"};

class EditList {
 public:
  explicit EditList(const std::filesystem::path& path) : path_(path) {
    for (JsonElements members(path, {}, JsonElements::Keep::kNothing); members.next();) {
      ERRATA_CHECK(
          members.is_object(),
          ErrorCode::kCorrupt,
          path.string(),
          ": expected an object of lists {\"prompts\": [...], ...}; a list of records is "
          "--format counterfact, zsre or knowedit");
      if (members.key() == "locality_inputs" || members.key() == "portability_inputs") {
        open_probes(members.place(), members.is_container(), members.key()[0] == 'p');
      } else if (
          std::find(kFields.begin(), kFields.end(), members.key()) != kFields.end() &&
          members.is_container()) {
        open(Column::Role::kField, members.key(), false, members.place());
      }
    }
    ERRATA_CHECK(
        find("prompts") != nullptr && find("target_new") != nullptr,
        ErrorCode::kCorrupt,
        path.string(),
        ": no lists 'prompts' and 'target_new'; expected an edit list of EasyEdit");
  }

  /// Moves all lists on; false at their end.
  bool next() {
    std::size_t more = 0;
    for (Column& column : columns_) {
      more += column.elements->next() ? 1 : 0;
    }
    if (more == 0) {
      return false;
    }
    ++index_;
    for (Column& column : columns_) {
      ERRATA_CHECK(
          more == columns_.size(),
          ErrorCode::kCorrupt,
          path_.string(),
          ": the lists are not equally long: some end before element ",
          index_,
          "; expected one element an edit in each, null where there is none");
      column.value = column.elements->value();
    }
    return true;
  }

  std::int64_t index() const { return index_; }
  RecordPlace place() const {
    const JsonElements& prompts = *find("prompts")->elements;
    return {prompts.where(), prompts.place().byte};
  }
  const Column* find(std::string_view name) const {
    for (const Column& column : columns_) {
      if (column.role == Column::Role::kField && column.name == name) {
        return &column;
      }
    }
    return nullptr;
  }
  const std::vector<Column>& columns() const { return columns_; }

 private:
  void open(Column::Role role, const std::string& name, bool portability, const FilePlace& place) {
    Column& added = columns_.emplace_back();
    added.role = role;
    added.name = name;
    added.portability = portability;
    added.elements = std::make_unique<JsonElements>(path_, place);
  }

  // {"neighborhood": {"prompt": [...], "ground_truth": [...]}}
  void open_probes(const FilePlace& place, bool is_container, bool portability) {
    if (!is_container) {
      return;
    }
    constexpr auto kNothing = JsonElements::Keep::kNothing;
    for (JsonElements names(path_, place, kNothing); names.next();) {
      const std::string name = names.key();
      if (!names.is_container()) {
        continue;
      }
      for (JsonElements lists(path_, names.place(), kNothing); lists.next();) {
        if (lists.is_container() && (lists.key() == "prompt" || lists.key() == "ground_truth")) {
          const bool prompts = lists.key() == "prompt";
          open(
              prompts ? Column::Role::kProbePrompt : Column::Role::kProbeAnswer,
              name,
              portability,
              lists.place());
        }
      }
    }
  }

  std::filesystem::path path_;
  std::vector<Column> columns_;
  std::int64_t index_ = -1;
};

// One text or several; answers pair with prompts, and one answer may be a list of names.
void add_pairs(
    std::vector<Probe>& probes,
    const Json& prompts,
    const Json& answers,
    const std::string& kind,
    const JsonFields& fields,
    ImportSink& sink) {
  const Json prompt_list = prompts.is_array() ? prompts : Json::array({prompts});
  const Json answer_list =
      prompts.is_array() && answers.is_array() ? answers : Json::array({answers});
  ERRATA_CHECK(
      prompt_list.size() == answer_list.size(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": '",
      kind,
      "' has ",
      prompt_list.size(),
      " prompts and ",
      answer_list.size(),
      " answers");
  for (std::size_t i = 0; i < prompt_list.size(); ++i) {
    const auto texts = texts_of(prompt_list[i], fields, kind);
    auto accepted = names_of(answer_list[i], fields, kind);
    if (texts.empty()) {
      continue;
    }
    if (accepted.empty()) {
      sink.remark(concat(
          fields.where(),
          ": '",
          kind,
          "' prompt '",
          texts.front().substr(0, 40),
          "' left out: it has no answer"));
      continue;
    }
    probes.push_back({texts.front(), std::move(accepted), kind});
  }
}

void add_probes(
    ExplicitEdit& edit, const EditList& list, const JsonFields& fields, ImportSink& sink) {
  const auto& columns = list.columns();
  for (const Column& prompts : columns) {
    if (prompts.role != Column::Role::kProbePrompt || prompts.value.is_null()) {
      continue;
    }
    const auto answers = std::find_if(columns.begin(), columns.end(), [&](const Column& other) {
      return other.role == Column::Role::kProbeAnswer && other.name == prompts.name &&
             other.portability == prompts.portability;
    });
    ERRATA_CHECK(
        answers != columns.end(),
        ErrorCode::kCorrupt,
        fields.where(),
        ": '",
        prompts.name,
        "' has no list 'ground_truth'");
    add_pairs(
        prompts.portability ? edit.portability : edit.locality,
        prompts.value,
        answers->value,
        prompts.name,
        fields,
        sink);
  }
}

ExplicitEdit read_edit(const EditList& list, const JsonFields& fields, ImportSink& sink) {
  const auto texts = [&](std::string_view name) {
    const Column* column = list.find(name);
    return column == nullptr ? std::vector<std::string>() : texts_of(column->value, fields, name);
  };
  const auto first = [&](std::string_view name) {
    const auto all = texts(name);
    return all.empty() ? std::string() : all.front();
  };
  ExplicitEdit edit;
  edit.id = std::to_string(list.index());
  edit.prompt = first("prompts");
  edit.target_new = first("target_new");
  ERRATA_CHECK(
      !edit.prompt.empty() && !edit.target_new.empty(),
      ErrorCode::kCorrupt,
      fields.where(),
      ": no prompt or no target_new");
  edit.target_true = first("ground_truth");
  if (edit.target_true == kNoTruth) {
    edit.target_true.clear();
  }
  edit.subject = first("subject");
  edit.paraphrases = texts("rephrase_prompts");
  add_probes(edit, list, fields, sink);
  return edit;
}

} // namespace

void import_easyedit(const ImportOptions& options, ImportSink& sink) {
  const Json none = Json::object();
  for (EditList list(options.path); list.next();) {
    const RecordPlace place = list.place();
    take_record(
        sink, place, [&] { sink.edit(read_edit(list, JsonFields(none, place.where), sink)); });
  }
}

} // namespace errata::datasets
