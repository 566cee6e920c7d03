#include "core/generation.h"

#include "core/base/interrupt.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference_decoder.h"
#include "tests/support/tiny_decoder.h"

#include <gtest/gtest.h>

#include <set>

namespace errata {
namespace {

using testing_support::expect_error;
using testing_support::random_decoder;
using testing_support::random_sequences;
using testing_support::ReferenceDecoder;
using testing_support::tiny_gemma3;
using testing_support::tiny_llama;

std::vector<Tokens> tokens_of(const std::vector<Generation>& results) {
  std::vector<Tokens> tokens;
  for (const Generation& result : results) {
    tokens.push_back(result.tokens);
  }
  return tokens;
}

// Greedy, batches small enough that rows come and go all the time.
void expect_reference(
    const DecoderConfig& config,
    std::vector<Tokens> prompts,
    torch::Dtype dtype = torch::kFloat64,
    std::int64_t max_batch = 4) {
  Decoder model = random_decoder(config, dtype);
  const ReferenceDecoder reference(model);
  // A token that the first continuation holds, so that sequences do end.
  const std::int32_t eos = reference.greedy(prompts[0], 9)[4];
  GenerationOptions options;
  options.max_new_tokens = 9;
  options.eos = {eos};
  options.max_batch = max_batch;
  const auto results = generate(model, prompts, options);
  ASSERT_EQ(results.size(), prompts.size());
  EXPECT_EQ(results[0].finish, Finish::kEos);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const Tokens expected = reference.greedy(prompts[i], 9, eos);
    EXPECT_EQ(results[i].tokens, expected) << "prompt " << i;
    EXPECT_EQ(results[i].finish, expected.size() < 9 ? Finish::kEos : Finish::kLength);
  }
}

TEST(GenerationTest, GreedyMatchesReference) {
  auto prompts = random_sequences(23, 8, 29);
  prompts.push_back(prompts[3]); // a duplicate
  expect_reference(tiny_gemma3(), prompts);
  expect_reference(tiny_llama(), prompts);
}

// The kernels of float32; forty rows, so that some leave and some stay as fillers.
TEST(GenerationTest, KernelsMatchReference) {
  const auto prompts = random_sequences(40, 8, 29);
  for (const std::int64_t max_batch : {5, 40}) {
    expect_reference(tiny_gemma3(), prompts, torch::kFloat32, max_batch);
    expect_reference(tiny_llama(), prompts, torch::kFloat32, max_batch);
  }
}

TEST(GenerationTest, SharedPrefixMatchesReference) {
  auto prompts = random_sequences(17, 6, 29);
  for (Tokens& prompt : prompts) {
    prompt.insert(prompt.begin(), {2, 9, 14, 3, 3});
  }
  prompts.push_back({2, 9, 14, 3, 3}); // the shared beginning itself
  for (const torch::Dtype dtype : {torch::kFloat64, torch::kFloat32}) {
    expect_reference(tiny_gemma3(), prompts, dtype); // past its windows
    expect_reference(tiny_llama(), prompts, dtype);
  }
}

TEST(GenerationTest, SamplingDoesNotDependOnTheBatch) {
  Decoder model = random_decoder(tiny_gemma3());
  const auto prompts = random_sequences(12, 8, 29);
  GenerationOptions options;
  options.max_new_tokens = 8;
  options.temperature = 0.9;
  options.top_k = 20;
  options.top_p = 0.95;
  options.seed = 4;
  const auto together = tokens_of(generate(model, prompts, options));
  options.max_batch = 3;
  EXPECT_EQ(tokens_of(generate(model, prompts, options)), together);
  options.max_batch = 1;
  EXPECT_EQ(tokens_of(generate(model, prompts, options)), together);
  options.seed = 5;
  EXPECT_NE(tokens_of(generate(model, prompts, options)), together);
}

TEST(GenerationTest, EqualPromptsSampleDifferently) {
  Decoder model = random_decoder(tiny_gemma3());
  GenerationOptions options;
  options.max_new_tokens = 12;
  options.temperature = 1.5;
  const auto results = generate(model, {{1, 2}, {1, 2}}, options);
  EXPECT_NE(results[0].tokens, results[1].tokens);
}

TEST(GenerationTest, StopsWhereAsked) {
  Decoder model = random_decoder(tiny_gemma3());
  GenerationOptions options;
  options.max_new_tokens = 6;
  const auto plain = generate(model, {{1, 2, 3}}, options);
  ASSERT_EQ(plain[0].tokens.size(), 6U);
  EXPECT_EQ(plain[0].finish, Finish::kLength);
  options.should_stop = [](const Tokens& generated) { return generated.size() == 2; };
  const auto stopped = generate(model, {{1, 2, 3}}, options);
  EXPECT_EQ(stopped[0].tokens, Tokens(plain[0].tokens.begin(), plain[0].tokens.begin() + 2));
  EXPECT_EQ(stopped[0].finish, Finish::kStop);
  options.max_new_tokens = 0;
  EXPECT_TRUE(generate(model, {{1}}, options)[0].tokens.empty());
}

TEST(GenerationTest, AStrongRepetitionPenaltyRepeatsNothing) {
  Decoder model = random_decoder(tiny_gemma3());
  GenerationOptions options;
  options.max_new_tokens = 12;
  options.repetition_penalty = 1e6;
  const std::vector<Tokens> prompts = {{3, 5, 3}, {7}};
  const auto results = generate(model, prompts, options);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    std::set<std::int32_t> seen(prompts[i].begin(), prompts[i].end());
    for (const std::int32_t token : results[i].tokens) {
      EXPECT_TRUE(seen.insert(token).second) << token;
    }
  }
}

TEST(GenerationTest, ReportsEveryDistinctPrompt) {
  Decoder model = random_decoder(tiny_gemma3());
  GenerationOptions options;
  options.max_new_tokens = 2;
  Progress last;
  generate(model, {{1, 2}, {3}, {1, 2}}, options, [&](const Progress& now) { last = now; });
  EXPECT_EQ(last.done, 2);
  EXPECT_EQ(last.total, 2);
}

TEST(GenerationTest, ObeysAnInterrupt) {
  Decoder model = random_decoder(tiny_gemma3());
  const auto stop = [](const Progress&) { set_interrupted(true); };
  expect_error(ErrorCode::kInterrupted, {}, [&] {
    generate(model, {{1, 2}}, GenerationOptions{}, stop);
  });
  set_interrupted(false);
}

TEST(GenerationTest, RejectsBadOptions) {
  Decoder model = random_decoder(tiny_gemma3());
  GenerationOptions options;
  options.top_p = 0;
  expect_error(ErrorCode::kInvalidArgument, {"top_p"}, [&] { generate(model, {{1}}, options); });
  expect_error(ErrorCode::kInvalidArgument, {"prompt 1"}, [&] { generate(model, {{1}, {}}, {}); });
}

TEST(GenerationTest, RunsInBfloat16) {
  Decoder model = random_decoder(tiny_gemma3(), torch::kBFloat16);
  GenerationOptions options;
  options.max_new_tokens = 5;
  for (const Generation& result : generate(model, random_sequences(6, 7, 29), options)) {
    EXPECT_EQ(result.tokens.size(), 5U);
  }
}

} // namespace
} // namespace errata
