#include "editing/own_text.h"

#include "editing/gradient_editing.h"
#include "editing/plan/text_documents.h"
#include "tests/editing/editor_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/seeding_test.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace errata::editing {
namespace {

using testing_support::digest;
using testing_support::EditingFixture;

class OwnTextTest : public testing_support::SeedingTest {
 protected:
  std::vector<Document> written(std::size_t count, std::uint64_t seed) {
    return own_text(fixture.model, *fixture.tokenizer, {fixture.tokenizer->eos()}, count, seed);
  }

  static std::vector<std::string> texts(const std::vector<Document>& documents) {
    std::vector<std::string> all;
    for (const Document& document : documents) {
      EXPECT_TRUE(document.prompt.empty());
      EXPECT_TRUE(document.rehearsal);
      all.push_back(document.completion);
    }
    return all;
  }

  EditingFixture fixture;
};

TEST_F(OwnTextTest, IsOfTheModelAndTheSeed) {
  const std::string before = digest(fixture.model);
  const auto first = texts(written(30, 1));
  EXPECT_GT(first.size(), 20u);
  EXPECT_LE(first.size(), 30u);
  EXPECT_EQ(texts(written(30, 1)), first);
  EXPECT_NE(texts(written(30, 2)), first);
  EXPECT_EQ(digest(fixture.model), before);
  std::vector<std::string> different = first; // each sample is one of its own
  std::sort(different.begin(), different.end());
  different.erase(std::unique(different.begin(), different.end()), different.end());
  EXPECT_GT(different.size(), first.size() / 2);
}

TEST_F(OwnTextTest, AModelThatSaysNothingIsToldOff) {
  std::vector<std::int64_t> every(static_cast<std::size_t>(fixture.tokenizer->vocab_size()));
  for (std::size_t i = 0; i < every.size(); ++i) {
    every[i] = static_cast<std::int64_t>(i); // whatever comes first ends the text
  }
  testing_support::expect_error(ErrorCode::kInvalidArgument, {"--stats-text"}, [&] {
    own_text(fixture.model, *fixture.tokenizer, every, 5, 0);
  });
}

// Many tables are padded: ids that no piece has may be sampled all the same.
TEST_F(OwnTextTest, EndsWhereTheTokenizerHasNoPiece) {
  DecoderConfig config = fixture.model->config();
  config.vocab_size = 2 * fixture.tokenizer->vocab_size();
  Decoder padded = testing_support::random_decoder(config, torch::kFloat32, 0.3);
  const auto documents = own_text(padded, *fixture.tokenizer, {fixture.tokenizer->eos()}, 40, 0);
  EXPECT_GT(documents.size(), 5u);
}

TEST_F(OwnTextTest, NothingIsMeasuredTwice) {
  const auto documents = std::make_shared<const std::vector<Document>>(written(8, 3));
  const std::int64_t tokens = count_tokens(*documents, *fixture.tokenizer);
  std::int64_t expected = 0;
  for (const Document& document : *documents) {
    expected += 1 + static_cast<std::int64_t>( // BOS
                        fixture.tokenizer->encode(document.completion).size());
  }
  EXPECT_EQ(tokens, expected);

  const EditorOptions options = fixture.options("lora");
  EditInput input = fixture.input();
  input.rehearsal = [&] { return shuffled(documents, 0); };
  const std::vector<std::string> modules = {"model.layers.0.self_attn.q_proj"};
  const auto moment = [&](std::int64_t least) {
    return rehearsal_moments(fixture.model, modules, input, options, least).at(modules[0]).second;
  };
  const torch::Tensor one_batch = moment(1);
  EXPECT_FALSE(torch::equal(moment(0), one_batch)); // as many batches as a projection wants
  input.rehearsal_tokens = tokens;
  EXPECT_TRUE(torch::equal(moment(0), one_batch));
}

} // namespace
} // namespace errata::editing
