#include "editing/plan/text_documents.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "editing/plan/mixture.h"

#include <sstream>
#include <utility>

namespace errata::editing {
namespace {

constexpr std::size_t kLongest = 2000; // bytes

/// Collects the words of a paragraph.
class Paragraph {
 public:
  explicit Paragraph(std::vector<Document>& documents) : documents_(documents) {}

  void add(const std::string& line) {
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      if (text_.size() + 1 + word.size() > kLongest) {
        end();
      }
      text_ += (text_.empty() ? "" : " ") + word;
    }
  }

  void end() {
    if (!text_.empty()) {
      documents_.push_back({"", std::exchange(text_, {}), "text"});
    }
  }

 private:
  std::vector<Document>& documents_;
  std::string text_;
};

} // namespace

std::vector<Document> read_paragraphs(const std::vector<std::string>& files) {
  std::vector<Document> documents;
  for (const std::string& file : files) {
    const std::size_t before = documents.size();
    Paragraph paragraph(documents);
    std::istringstream lines(read_file(file));
    for (std::string line; std::getline(lines, line);) {
      if (line.find_first_not_of(" \t\r\f\v") == std::string::npos) {
        paragraph.end();
      } else {
        paragraph.add(line);
      }
    }
    paragraph.end();
    ERRATA_CHECK(
        documents.size() > before, ErrorCode::kCorrupt, file, ": no text; expected paragraphs");
  }
  return documents;
}

std::unique_ptr<DocumentStream> shuffled(SharedDocuments documents, std::uint64_t seed) {
  auto stream = std::make_unique<Mixture>(seed);
  Deck deck(documents->size());
  stream->add("text", 1, /*rehearsal=*/true, [documents, deck](Random& random) mutable {
    return (*documents)[deck.draw(random)];
  });
  return stream;
}

} // namespace errata::editing
