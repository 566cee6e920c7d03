#include "cli/text_table.h"

#include <algorithm>
#include <cstdio>
#include <ostream>

namespace errata::cli {
namespace {

constexpr std::size_t kWidest = 48;

bool starts_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
}

std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) {
      result += c;
      continue;
    }
    char code[8];
    std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned>(c));
    result += c == '\n' ? "\\n" : c == '\t' ? "\\t" : code;
  }
  return result;
}

std::string cell(const std::string& text) {
  std::string result = escaped(text.substr(0, 8 * kWidest));
  if (width(result) <= kWidest && text.size() <= 8 * kWidest) {
    return result;
  }
  std::size_t characters = 0;
  std::size_t end = 0;
  for (; end < result.size(); ++end) {
    characters += starts_character(result[end]) ? 1 : 0;
    if (characters > kWidest - 3) {
      break;
    }
  }
  return result.substr(0, end) + "...";
}

} // namespace

TextTable::TextTable(std::vector<std::string> header) : header_(std::move(header)) {}

void TextTable::add(std::vector<std::string> row) {
  for (std::string& text : row) {
    text = cell(text);
  }
  rows_.push_back(std::move(row));
}

void TextTable::print(std::ostream& out) const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < header_.size(); ++column) {
    std::size_t widest = width(header_[column]);
    for (const auto& row : rows_) {
      widest = std::max(widest, width(row[column]));
    }
    widths.push_back(widest);
  }
  const auto print_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t column = 0; column < row.size(); ++column) {
      line += row[column] + std::string(widths[column] - width(row[column]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  };
  print_row(header_);
  for (const auto& row : rows_) {
    print_row(row);
  }
}

std::string counted(long long count, const std::string& noun) {
  const std::string number = std::to_string(count) + ' ';
  if (count == 1) {
    return number + noun;
  }
  return number + (noun.ends_with("ity") ? noun.substr(0, noun.size() - 1) + "ies" : noun + "s");
}

} // namespace errata::cli
