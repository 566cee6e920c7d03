#include "cli/chat_format.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/text_stream.h"
#include "core/base/date.h"
#include "core/base/json.h"
#include "core/generation.h"
#include "peft/adapter.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <ostream>

namespace errata::cli {
namespace {

struct GenerateOptions {
  std::vector<std::string> prompts;
  std::string prompts_file;
  std::vector<std::string> stop;
  std::string chat;
  std::optional<std::string> system;
  std::string today;
  bool stream = false;
  GenerationOptions generation;
};

/// What is asked for, and of which adapter (a directory; empty: of all that --adapter names).
struct Requests {
  std::vector<std::string> prompts;
  std::vector<std::string> adapters;

  bool routed() const {
    return std::any_of(
        adapters.begin(), adapters.end(), [](const std::string& name) { return !name.empty(); });
  }
};

Requests read_requests(const GenerateOptions& options) {
  Requests requests;
  if (options.prompts_file.empty()) {
    requests.prompts = options.prompts;
    requests.adapters.resize(options.prompts.size());
    return requests;
  }
  read_json_lines(options.prompts_file, [&](const Json& value, std::int64_t line) {
    const JsonFields fields(value, concat(options.prompts_file, ':', line));
    requests.prompts.push_back(fields.required<std::string>("prompt"));
    requests.adapters.push_back(fields.optional<std::string>("adapter", ""));
  });
  ERRATA_CHECK(
      !requests.prompts.empty(),
      ErrorCode::kInvalidArgument,
      options.prompts_file,
      ": no prompts in it");
  return requests;
}

// Loads each adapter that a request names, once, and has it work for its requests alone.
Routing route_requests(const Requests& requests, AdaptedModel& adapted) {
  ERRATA_CHECK(
      adapted.adapters.empty(),
      ErrorCode::kInvalidArgument,
      "--adapter is for all prompts, but some name an adapter of their own; use one of the two");
  std::vector<std::string> loaded;
  std::vector<std::int64_t> routes;
  for (const std::string& name : requests.adapters) {
    const auto known = std::find(loaded.begin(), loaded.end(), name);
    routes.push_back(name.empty() ? -1 : known - loaded.begin());
    if (!name.empty() && known == loaded.end()) {
      loaded.push_back(name);
      adapted.adapters.push_back(peft::load_adapter(adapted.model.decoder, name));
    }
  }
  std::vector<peft::Adapter*> adapters;
  for (const auto& adapter : adapted.adapters) {
    adapters.push_back(adapter.get());
  }
  return peft::route_adapters(std::move(adapters), std::move(routes));
}

std::size_t first_stop(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t place = std::string::npos;
  for (const std::string& stop : stops) {
    place = std::min(place, text.find(stop));
  }
  return place;
}

std::size_t longest_stop(const std::vector<std::string>& stops) {
  std::size_t longest = 0;
  for (const std::string& stop : stops) {
    ERRATA_CHECK(!stop.empty(), ErrorCode::kInvalidArgument, "--stop: an empty stop string");
    longest = std::max(longest, stop.size());
  }
  return longest;
}

// A stop string can only have been completed by the newest token, so the tail is enough: every
// token but the special ones has at least a byte of text.
std::function<bool(const Tokens&)> stop_check(
    const Tokenizer& tokenizer, const std::vector<std::string>& stops) {
  if (stops.empty()) {
    return {};
  }
  return [&tokenizer, stops, longest = longest_stop(stops)](const Tokens& tokens) {
    constexpr std::size_t kSlack = 8; // special tokens and pieces cut inside a character
    const std::size_t tail = std::min(tokens.size(), longest + kSlack);
    const Tokens last(tokens.end() - static_cast<std::ptrdiff_t>(tail), tokens.end());
    return first_stop(tokenizer.decode(last), stops) != std::string::npos;
  };
}

// Ids above the tokenizer's vocabulary (padding rows of the embedding) have no text.
Tokens with_text(const Tokenizer& tokenizer, Tokens tokens) {
  std::erase_if(tokens, [&](std::int32_t id) { return id >= tokenizer.vocab_size(); });
  return tokens;
}

OrderedJson result_json(
    const std::string& prompt,
    const Generation& generation,
    const Tokenizer& tokenizer,
    const std::vector<std::string>& stops) {
  std::string text = tokenizer.decode(with_text(tokenizer, generation.tokens));
  if (generation.finish == Finish::kStop) {
    text.resize(std::min(text.size(), first_stop(text, stops)));
  }
  return {
      {"prompt", prompt},
      {"text", text},
      {"tokens", generation.tokens},
      {"finish", to_string(generation.finish)}};
}

std::optional<Date> day_told(const GenerateOptions& options) {
  if (options.today.empty()) {
    return std::nullopt;
  }
  const Date day = parse_date(options.today, "--today");
  ERRATA_CHECK(
      day.complete(),
      ErrorCode::kInvalidArgument,
      "--today: '",
      options.today,
      "' is no day; expected YYYY-MM-DD");
  return day;
}

// Prompts as the tokenizer gets them.
std::vector<Tokens> encode_prompts(
    const GenerateOptions& options,
    const std::vector<std::string>& prompts,
    const Tokenizer& tokenizer,
    const std::optional<ChatFormat>& format) {
  const std::optional<Date> today = day_told(options);
  std::vector<Tokens> ids;
  for (const std::string& prompt : prompts) {
    ids.push_back(tokenizer.encode_prompt(
        format ? chat_prompt(*format, {options.system, prompt, today}) : prompt));
    ERRATA_CHECK(
        !ids.back().empty(),
        ErrorCode::kInvalidArgument,
        "an empty prompt, and this model has no token to begin with");
  }
  return ids;
}

void print_texts(std::ostream& out, const OrderedJson& document, const char* between) {
  for (const OrderedJson& result : document["results"]) {
    out << result["prompt"].get<std::string>() << between << result["text"].get<std::string>()
        << '\n';
  }
}

// With --stream: the prompt is shown, and then the text as it comes.
std::unique_ptr<TextStream> make_stream(
    const GenerateOptions& options,
    const std::vector<std::string>& prompts,
    const CommonOptions& common,
    const Streams& streams,
    const char* between) {
  if (!options.stream) {
    return nullptr;
  }
  ERRATA_CHECK(
      prompts.size() == 1 && !common.json,
      ErrorCode::kInvalidArgument,
      "--stream shows one text as it comes; give it one prompt, and not --json");
  auto stream = std::make_unique<TextStream>(streams.out, longest_stop(options.stop));
  streams.out << prompts.front() << between << std::flush;
  return stream;
}

void run_generate(
    const GenerateOptions& options,
    const ModelOptions& model_options,
    const CommonOptions& common,
    const Streams& streams) {
  const Requests requests = read_requests(options);
  const std::vector<std::string>& prompts = requests.prompts;
  AdaptedModel adapted = load_adapted_model(model_options, common);
  const Tokenizer& tokenizer = require_tokenizer(adapted.model);
  GenerationOptions generation = options.generation;
  generation.seed = common.seed;
  generation.eos = adapted.model.eos;
  if (requests.routed()) {
    generation.routing = route_requests(requests, adapted);
  }
  std::optional<ChatFormat> format;
  if (!options.chat.empty()) {
    format = chat_format(options.chat, tokenizer);
    generation.eos.push_back(turn_end_token(*format, tokenizer)); // ends an answer too
  }
  const std::vector<Tokens> ids = encode_prompts(options, prompts, tokenizer, format);
  const char* const between = options.chat.empty() ? "" : "\n";
  const std::unique_ptr<TextStream> shown = make_stream(options, prompts, common, streams, between);
  const auto check = stop_check(tokenizer, options.stop);
  if (check || shown) {
    generation.should_stop = [&](const Tokens& tokens) {
      const Tokens readable = with_text(tokenizer, tokens);
      const bool stop = check && check(readable);
      if (shown && !stop) { // with a stop string in it the text ends earlier
        shown->show(tokenizer.decode(readable));
      }
      return stop;
    };
  }
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Generation> generations = generate(
      adapted.model.decoder,
      ids,
      generation,
      shown ? ProgressCallback() : common.progress_callback(streams));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  OrderedJson results = OrderedJson::array();
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    results.push_back(result_json(prompts[i], generations[i], tokenizer, options.stop));
    if (!requests.adapters[i].empty()) {
      results.back()["adapter"] = requests.adapters[i];
    }
    tokens += generations[i].tokens.size();
  }
  OrderedJson document;
  document["results"] = results;
  if (format) {
    document["chat"] = format->name;
  }
  document["tokens_per_second"] = static_cast<double>(tokens) / std::max(seconds, 1e-9);
  if (common.json) {
    print_json(streams.out, document);
    return;
  }
  if (shown) {
    shown->finish(document["results"][0]["text"].get<std::string>());
  } else {
    print_texts(streams.out, document, between);
  }
  if (common.progress != "none") {
    const double rate = document["tokens_per_second"].get<double>();
    streams.err << tokens << " tokens, " << std::round(rate * 10) / 10 << " tokens/s\n";
  }
}

void add_sampling(CLI::App& command, GenerationOptions& generation) {
  command
      .add_option("--max-new-tokens", generation.max_new_tokens, "Longest continuation of a prompt")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
      ->capture_default_str();
  command.add_option("--temperature", generation.temperature, "0: always the most probable token")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  command.add_option("--top-k", generation.top_k, "Sample from the K most probable; 0: from all")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 30))
      ->capture_default_str();
  command.add_option("--top-p", generation.top_p, "Sample from the most probable that sum to this")
      ->check(CLI::Range(1e-9, 1.0))
      ->capture_default_str();
  command
      .add_option(
          "--min-p",
          generation.min_p,
          "Leave away what is less probable than this share of the most probable")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      .add_option(
          "--repetition-penalty",
          generation.repetition_penalty,
          "Above 1: tokens of prompt and text become less probable")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
}

} // namespace

void add_generate(CLI::App& app, const Streams& streams) {
  CLI::App* command = app.add_subcommand("generate", "Continues prompts");
  const auto common = add_common(*command);
  const auto model = add_model_options(*command);
  const auto options = std::make_shared<GenerateOptions>();
  CLI::Option_group* source = command->add_option_group("Prompts");
  source->add_option("--prompt", options->prompts, "A prompt (repeatable)");
  source->add_option(
      "--prompts",
      options->prompts_file,
      "JSON lines, each {\"prompt\": ...}, perhaps with an \"adapter\" directory of its own");
  source->require_option(1);
  add_sampling(*command, options->generation);
  command->add_option("--stop", options->stop, "Ends a text before this string (repeatable)");
  CLI::Option* chat =
      command
          ->add_option("--chat", options->chat, "Write each prompt as a user's turn in this format")
          ->check(CLI::IsMember(chat_format_names()));
  command->add_flag("--stream", options->stream, "Show the text while it is written");
  command->add_option("--system", options->system, "With --chat: what the model is told first")
      ->needs(chat);
  command
      ->add_option(
          "--today",
          options->today,
          "With --chat llama3.1: the day it is told, YYYY-MM-DD; otherwise that of its template, "
          "2024-07-26")
      ->needs(chat);
  command->footer(
      chat_format_help() +
      "Examples:\n"
      "  errata generate --model models/lab --prompt \"The capital of France is\"\n"
      "  errata generate --model models/lab --prompts questions.jsonl --stop Question: --json\n"
      "  errata generate --model gemma-2-2b-it --chat auto --prompt \"Who leads Italy?\"");
  command->callback([=] { run_generate(*options, *model, *common, streams); });
}

} // namespace errata::cli
