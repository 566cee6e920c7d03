#include "core/model.h"

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/device.h"
#include "core/model_config.h"
#include "core/weight_files.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>

namespace errata {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = "lm_head.weight";

std::string embedding_name(const DecoderConfig& config) {
  return concat(config.names.root, ".", config.names.embedding, ".weight");
}

// Multimodal checkpoints carry a prefix (transformers 4 and 5 put it in different places).
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kTextPrefixes = {{
    {"language_model.model.", "model."},
    {"model.language_model.", "model."},
    {"language_model.lm_head.", "lm_head."},
}};
constexpr std::array<std::string_view, 4> kVisionPrefixes = {
    "vision_tower.",
    "model.vision_tower.",
    "multi_modal_projector.",
    "model.multi_modal_projector."};

// Buffers of old GPT-2 and GPT-J files: the causal mask, which no parameter is.
bool is_mask(const std::string& name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
}

// The decoder's name for a tensor of the file; nothing for the parts that are not text.
std::optional<std::string> decoder_name(const std::string& name, const std::string& root) {
  if (root != "model") {
    if (is_mask(name)) {
      return std::nullopt;
    }
    // GPT-2's own files begin below the root.
    const bool whole = name.starts_with(root + ".") || name.starts_with("lm_head.");
    return whole ? name : root + "." + name;
  }
  for (const std::string_view prefix : kVisionPrefixes) {
    if (name.starts_with(prefix)) {
      return std::nullopt;
    }
  }
  for (const auto& [from, to] : kTextPrefixes) {
    if (name.starts_with(from)) {
      return std::string(to) + name.substr(from.size());
    }
  }
  return name;
}

// The decoder's names and where the files have them.
std::map<std::string, std::string> text_tensors(
    const WeightFiles& files, const std::string& root, const fs::path& path) {
  std::map<std::string, std::string> sources;
  std::size_t skipped = 0;
  for (const std::string& name : files.names()) {
    const auto target = decoder_name(name, root);
    if (!target) {
      ++skipped;
      continue;
    }
    ERRATA_CHECK(
        sources.emplace(*target, name).second,
        ErrorCode::kCorrupt,
        path.string(),
        ": tensor '",
        *target,
        "' is there twice, under two prefixes");
  }
  if (skipped > 0) {
    log(LogLevel::kInfo,
        concat(
            path.string(), ": ", skipped, " tensors of the vision part or of masks are not used"));
  }
  return sources;
}

std::string name_some(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() <= kMost ? text : concat(text, " and ", names.size() - kMost, " more");
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

// A tied head has no tensor; some files keep a copy, which must be one.
void drop_tied_head(
    const WeightFiles& files,
    std::map<std::string, std::string>& sources,
    const std::string& embedding_name,
    const fs::path& path) {
  const auto head = sources.find(kHead);
  const auto embedding = sources.find(embedding_name);
  if (head == sources.end() || embedding == sources.end()) {
    return;
  }
  const torch::Tensor a = files.file(head->second).tensor(head->second);
  const torch::Tensor b = files.file(embedding->second).tensor(embedding->second);
  ERRATA_CHECK(
      a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && torch::equal(a, b),
      ErrorCode::kCorrupt,
      path.string(),
      ": config.json ties the output head to the embedding, but '",
      head->second,
      "' differs from '",
      embedding->second,
      "'");
  sources.erase(head);
}

void check_tensor(
    const SafetensorsFile& file, const std::string& name, torch::IntArrayRef expected) {
  const std::vector<std::int64_t> shape = file.shape(name);
  ERRATA_CHECK(
      torch::IntArrayRef(shape) == expected,
      ErrorCode::kCorrupt,
      file.path().string(),
      ": tensor '",
      name,
      "' has shape ",
      shape_text(shape),
      "; config.json asks for ",
      shape_text(expected.vec()));
  ERRATA_CHECK(
      c10::isFloatingType(file.dtype(name)),
      ErrorCode::kUnsupported,
      file.path().string(),
      ": tensor '",
      name,
      "' has dtype ",
      dtype_name(file.dtype(name)),
      "; quantised weights are not supported");
}

// Compares names, shapes and dtypes with a decoder without memory, so that nothing is allocated for
// a config that lies.
void check_tensors(
    const WeightFiles& files,
    const std::map<std::string, std::string>& sources,
    const DecoderConfig& config,
    const fs::path& path) {
  const Decoder shapes(config, torch::TensorOptions().device(torch::kMeta));
  const std::set<std::string> transposed = shapes->transposed_in_files();
  std::vector<std::string> missing;
  std::map<std::string, std::string> surplus = sources;
  for (const auto& item : shapes->named_parameters()) {
    const auto source = sources.find(item.key());
    if (source == sources.end()) {
      missing.push_back(item.key());
      continue;
    }
    surplus.erase(item.key());
    std::vector<std::int64_t> expected = item.value().sizes().vec();
    if (transposed.contains(item.key())) {
      std::swap(expected[0], expected[1]);
    }
    check_tensor(files.file(source->second), source->second, expected);
  }
  ERRATA_CHECK(
      missing.empty(),
      ErrorCode::kCorrupt,
      path.string(),
      ": the weights lack ",
      missing.size(),
      missing.size() == 1 ? " tensor" : " tensors",
      " that config.json asks for: ",
      name_some(missing));
  std::vector<std::string> names;
  for (const auto& [target, source] : surplus) {
    names.push_back(source);
  }
  ERRATA_CHECK(
      names.empty(),
      ErrorCode::kCorrupt,
      path.string(),
      ": the weights hold ",
      names.size(),
      names.size() == 1 ? " tensor" : " tensors",
      " that config.json has no place for: ",
      name_some(names));
}

void fill(
    Decoder& decoder, const WeightFiles& files, const std::map<std::string, std::string>& sources) {
  const torch::NoGradGuard no_grad;
  const std::set<std::string> transposed = decoder->transposed_in_files();
  for (auto& item : decoder->named_parameters()) {
    torch::Tensor& parameter = item.value();
    parameter.requires_grad_(false);
    const std::string& source = sources.at(item.key());
    torch::Tensor stored = files.file(source).tensor(source);
    if (transposed.contains(item.key())) {
      stored = stored.t();
    }
    if (parameter.is_cpu() && stored.scalar_type() == parameter.scalar_type()) {
      parameter.set_data(stored);
    } else {
      parameter.copy_(stored);
    }
  }
}

std::string hash_tensors(const WeightFiles& files) {
  Sha256 hash;
  for (const std::string& name : files.names()) {
    const SafetensorsFile& file = files.file(name);
    const torch::Tensor tensor = file.tensor(name);
    hash.update(
        concat(name, '\n', dtype_name(file.dtype(name)), shape_text(file.shape(name)), '\n'));
    hash.update(std::as_bytes(
        std::span(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes())));
  }
  return hash.hex_digest();
}

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& directory, std::int64_t vocab_size) {
  std::unique_ptr<Tokenizer> tokenizer;
  try {
    tokenizer = Tokenizer::load(directory);
  } catch (const Error& error) {
    // Whoever needs text loads it again and gets the message; token ids need none.
    if (error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kUnsupported) {
      return nullptr;
    }
    throw;
  }
  ERRATA_CHECK(
      tokenizer->vocab_size() <= vocab_size,
      ErrorCode::kCorrupt,
      directory.string(),
      ": the tokenizer has ",
      tokenizer->vocab_size(),
      " ids, the model only ",
      vocab_size,
      "; they do not belong together");
  return tokenizer;
}

} // namespace

DecoderConfig load_decoder_config(const fs::path& directory) {
  require_directory(directory, "model directory");
  const fs::path path = directory / "config.json";
  require_file(path, "model config");
  return parse_decoder_config(read_json(path), path.string());
}

Model load_model(const fs::path& directory, const LoadOptions& options) {
  Model model;
  model.directory = directory;
  const DecoderConfig config = load_decoder_config(directory);
  const WeightFiles files(directory);
  std::map<std::string, std::string> sources = text_tensors(files, config.names.root, directory);
  if (config.tie_word_embeddings) {
    drop_tied_head(files, sources, embedding_name(config), directory);
  }
  check_tensors(files, sources, config, directory);
  model.tokenizer = load_tokenizer(directory, config.vocab_size);
  model.eos = read_special_ids(directory).eos;
  if (model.eos.empty() && model.tokenizer && model.tokenizer->eos() >= 0) {
    model.eos.push_back(model.tokenizer->eos());
  }
  const std::string& embedding = sources.at(embedding_name(config));
  model.file_dtype = files.file(embedding).dtype(embedding);
  model.decoder =
      Decoder(config, torch::TensorOptions().dtype(options.dtype).device(options.device));
  model.decoder->set_compute_dtype(options.dtype);
  fill(model.decoder, files, sources);
  if (options.hash) {
    model.hash = hash_tensors(files);
  }
  return model;
}

} // namespace errata
