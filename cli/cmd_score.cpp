#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/scoring.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ostream>
#include <string_view>

namespace errata::cli {
namespace {

struct ScoreOptions {
  std::string text;
  std::string file;
  std::string tokens;
  std::int64_t top = 0;
};

// Alternatives for each position, best first.
using TopTokens = std::vector<std::vector<std::pair<std::int32_t, double>>>;

Tokens parse_token_list(std::string_view text, std::int64_t vocab_size) {
  Tokens tokens;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (item.starts_with(' ')) {
      item.remove_prefix(1);
    }
    while (item.ends_with(' ')) {
      item.remove_suffix(1);
    }
    std::int32_t id = -1;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), id);
    ERRATA_CHECK(
        error == std::errc() && end == item.data() + item.size() && id >= 0 && id < vocab_size,
        ErrorCode::kInvalidArgument,
        "--tokens: '",
        item,
        "' is not a token id; expected 0 to ",
        vocab_size - 1);
    tokens.push_back(id);
  }
  return tokens;
}

Tokens tokens_to_score(const ScoreOptions& options, bool text_given, const Model& model) {
  if (!options.tokens.empty()) {
    return parse_token_list(options.tokens, model.decoder->config().vocab_size);
  }
  const Tokenizer& tokenizer = require_tokenizer(model);
  return tokenizer.encode_prompt(text_given ? options.text : read_file(options.file));
}

// The model may know more ids than the tokenizer.
OrderedJson piece_json(const Model& model, std::int32_t id) {
  if (!model.tokenizer || id >= model.tokenizer->vocab_size()) {
    return nullptr;
  }
  return model.tokenizer->piece(id);
}

OrderedJson choices_json(
    const Model& model, const std::vector<std::pair<std::int32_t, double>>& choices) {
  OrderedJson list = OrderedJson::array();
  for (const auto& [id, logprob] : choices) {
    list.push_back({{"token", id}, {"piece", piece_json(model, id)}, {"logprob", logprob}});
  }
  return list;
}

OrderedJson result_json(
    const Model& model,
    const Tokens& tokens,
    const std::vector<TokenScore>& scores,
    const TopTokens& top) {
  OrderedJson pieces = OrderedJson::array();
  for (const std::int32_t id : tokens) {
    pieces.push_back(piece_json(model, id));
  }
  OrderedJson logprobs = OrderedJson::array({nullptr});
  double sum = 0;
  for (const TokenScore& score : scores) {
    logprobs.push_back(score.logprob);
    sum += score.logprob;
  }
  OrderedJson result;
  result["tokens"] = tokens;
  result["pieces"] = model.tokenizer ? pieces : OrderedJson();
  result["logprobs"] = logprobs;
  result["sum"] = sum;
  result["perplexity"] = scores.empty()
                             ? OrderedJson()
                             : OrderedJson(std::exp(-sum / static_cast<double>(scores.size())));
  if (!top.empty()) {
    OrderedJson lists = OrderedJson::array({nullptr});
    for (std::size_t i = 0; i + 1 < top.size(); ++i) {
      lists.push_back(choices_json(model, top[i]));
    }
    result["top"] = lists;
    result["next"] = choices_json(model, top.back());
  }
  return result;
}

std::string label_of(const OrderedJson& id, const OrderedJson& piece) {
  // A line end inside a piece must not break the table.
  return concat(id.dump(), '\t', piece.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
}

void print_choices(std::ostream& out, const OrderedJson& choices) {
  for (const OrderedJson& choice : choices) {
    out << "\t\t  " << label_of(choice["token"], choice["piece"]) << '\t'
        << choice["logprob"].get<double>() << '\n';
  }
}

void print_score(std::ostream& out, const OrderedJson& result) {
  out << "token\tpiece\tlog p\n";
  for (std::size_t i = 0; i < result["tokens"].size(); ++i) {
    const OrderedJson piece = result["pieces"].is_null() ? OrderedJson() : result["pieces"][i];
    out << label_of(result["tokens"][i], piece) << '\t';
    if (result["logprobs"][i].is_null()) {
      out << "-\n";
    } else {
      out << result["logprobs"][i].get<double>() << '\n';
    }
    if (result.contains("top") && !result["top"][i].is_null()) {
      print_choices(out, result["top"][i]);
    }
  }
  if (result.contains("next")) {
    out << "next\n";
    print_choices(out, result["next"]);
  }
  out << "sum " << result["sum"].get<double>() << ", perplexity "
      << (result["perplexity"].is_null() ? "-" : result["perplexity"].dump()) << '\n';
}

void score(
    const ScoreOptions& options,
    bool text_given,
    const ModelOptions& model_options,
    const CommonOptions& common,
    const Streams& streams) {
  AdaptedModel adapted = load_adapted_model(model_options, common);
  Model& model = adapted.model;
  const Tokens tokens = tokens_to_score(options, text_given, model);
  ERRATA_CHECK(
      !tokens.empty(), ErrorCode::kInvalidArgument, "no tokens to score: the text is empty");
  std::vector<TokenScore> scores;
  if (tokens.size() > 1) {
    scores = score_tokens(model.decoder, {tokens}, {1}, common.progress_callback(streams)).front();
  }
  TopTokens top;
  if (options.top > 0) {
    top = top_tokens(
        model.decoder, tokens, std::min(options.top, model.decoder->config().vocab_size));
  }
  const OrderedJson result = result_json(model, tokens, scores, top);
  if (common.json) {
    print_json(streams.out, result);
  } else {
    print_score(streams.out, result);
  }
}

} // namespace

void add_score(CLI::App& app, const Streams& streams) {
  CLI::App* command = app.add_subcommand("score", "Log-probabilities of given tokens");
  const auto common = add_common(*command);
  const auto model = add_model_options(*command);
  const auto options = std::make_shared<ScoreOptions>();
  CLI::Option_group* source = command->add_option_group("What to score");
  const CLI::Option* text =
      source->add_option("--text", options->text, "Text; BOS is put in front");
  source->add_option("--file", options->file, "Text file; BOS is put in front");
  source->add_option("--tokens", options->tokens, "Token ids as they are: 2,651,3");
  source->require_option(1);
  command->add_option("--top", options->top, "Also the K most probable tokens of each position")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000}));
  command->footer(
      "Examples:\n"
      "  errata score --model models/lab --text \"The capital of France is Paris\"\n"
      "  errata score --model models/lab --adapter out/run/adapter --file a.txt --top 3 --json");
  command->callback([=] { score(*options, text->count() > 0, *model, *common, streams); });
}

} // namespace errata::cli
