#include "core/base/did_you_mean.h"
#include "core/base/error.h"
#include "editing/plan/edit_documents.h"

#include <array>
#include <string>
#include <vector>

namespace errata::editing {

namespace {

struct Switch {
  std::string_view name;
  bool AugmentOptions::*flag;
};

constexpr std::array<Switch, 9> kSwitches = {{
    {"statement", &AugmentOptions::statement},
    {"question", &AugmentOptions::question},
    {"inverse", &AugmentOptions::inverse},
    {"reasoning", &AugmentOptions::reasoning},
    {"ripple", &AugmentOptions::ripple},
    {"dated", &AugmentOptions::dated},
    {"rehearsal", &AugmentOptions::rehearsal},
    {"near", &AugmentOptions::near},
    {"echo", &AugmentOptions::echo},
}};

void switch_on(AugmentOptions& options, std::string_view word) {
  for (const Switch& entry : kSwitches) {
    if (entry.name == word) {
      options.*entry.flag = true;
      return;
    }
  }
  std::vector<std::string> known{"all", "none"};
  std::string list = "all, none";
  for (const Switch& entry : kSwitches) {
    known.emplace_back(entry.name);
    list += concat(", ", entry.name);
  }
  ERRATA_FAIL(
      ErrorCode::kInvalidArgument,
      "--augment: '",
      word,
      "' is not a kind of document; expected ",
      list,
      did_you_mean(word, known));
}

} // namespace

AugmentOptions AugmentOptions::none() {
  AugmentOptions options;
  for (const Switch& entry : kSwitches) {
    options.*entry.flag = false;
  }
  return options;
}

bool AugmentOptions::is_none() const noexcept {
  for (const Switch& entry : kSwitches) {
    if (this->*entry.flag) {
      return false;
    }
  }
  return true;
}

AugmentOptions parse_augment(std::string_view list) {
  if (list == "all") {
    return {};
  }
  AugmentOptions options = AugmentOptions::none();
  if (list == "none") {
    return options;
  }
  while (true) {
    const std::size_t comma = list.find(',');
    switch_on(options, list.substr(0, comma));
    if (comma == std::string_view::npos) {
      break;
    }
    list.remove_prefix(comma + 1);
  }
  ERRATA_CHECK(
      options.rehearsal || !options.near,
      ErrorCode::kInvalidArgument,
      "--augment: 'near' is a part of rehearsal; expected 'rehearsal' beside it");
  return options;
}

std::string to_string(const AugmentOptions& options) {
  std::string list;
  for (const Switch& entry : kSwitches) {
    if (options.*entry.flag) {
      list += concat(list.empty() ? "" : ",", entry.name);
    }
  }
  return list.empty() ? "none" : list;
}

} // namespace errata::editing
