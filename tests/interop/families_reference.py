"""The judge of the decoder: transformers.

usage: families_reference.py make DIRECTORY    writes random checkpoints and reference.json
       families_reference.py score MODEL IN    prints log-probabilities as transformers computes them

Everything on the CPU, float32 unless said. reference.json: name -> {"sequences", "logprobs", "bfloat16", "greedy",
"prompt", "prompt_greedy", "linears", "parameters"}; logprobs[i][k] is log p(token k + 1 | tokens 0..k) of sequence i,
"bfloat16" the same with weights and activations in that dtype; greedy[i] continues sequence i by 12 tokens,
prompt_greedy the text "prompt"; "linears" are the names of the linear layers but the head, in any order.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPTJConfig, GPTJForCausalLM, Gemma2Config, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, GemmaConfig, GemmaForCausalLM, LlamaConfig,
    LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
    RecurrentGemmaConfig, RecurrentGemmaForCausalLM)
from transformers.pytorch_utils import Conv1D

LENGTHS = [2, 5, 9, 17, 23, 23, 64, 131, 200]
# The end of a long sequence differs in too many places to be the same in any order of sums.
LONGEST_GREEDY = 64
PROMPT = "the heron stood in the river"
# One checkpoint of each family lies in many files.
SHARDED = {"gemma3_untied", "gemma_bias", "gemma2_grouped", "gpt2_inner", "gptj_part", "griffin_wide", "llama_biases",
           "mistral_window", "qwen2_tied", "qwen3_grouped"}


def checkpoint(model_class, config_class, seed, **overrides):
    """A model whose weights are large enough that every part of the architecture shows."""
    longest = "n_positions" if config_class in (GPT2Config, GPTJConfig) else "max_position_embeddings"
    config = config_class(bos_token_id=None, eos_token_id=None, pad_token_id=None, **{longest: 256, **overrides})
    torch.manual_seed(seed)
    model = model_class(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.3 if parameter.dim() == 1 else 0.15)
            # Norms that multiply by the weight itself are around 1.
            if ("norm" in name or "ln_" in name) and name.endswith("weight") and "gemma" not in config.model_type:
                parameter.add_(1.0)
    return model


def gemma3(seed, **overrides):
    return checkpoint(Gemma3ForCausalLM, Gemma3TextConfig, seed, **overrides)


def gemma(seed, **overrides):
    return checkpoint(GemmaForCausalLM, GemmaConfig, seed, **overrides)


def gemma2(seed, **overrides):
    return checkpoint(Gemma2ForCausalLM, Gemma2Config, seed, **overrides)


def gpt2(seed, **overrides):
    return checkpoint(GPT2LMHeadModel, GPT2Config, seed, **overrides)


def gptj(seed, **overrides):
    return checkpoint(GPTJForCausalLM, GPTJConfig, seed, **overrides)


def griffin(seed, **overrides):
    return checkpoint(RecurrentGemmaForCausalLM, RecurrentGemmaConfig, seed, **overrides)


def llama(seed, **overrides):
    return checkpoint(LlamaForCausalLM, LlamaConfig, seed, **overrides)


def mistral(seed, **overrides):
    return checkpoint(MistralForCausalLM, MistralConfig, seed, **overrides)


def qwen2(seed, **overrides):
    return checkpoint(Qwen2ForCausalLM, Qwen2Config, seed, **overrides)


def qwen3(seed, **overrides):
    return checkpoint(Qwen3ForCausalLM, Qwen3Config, seed, **overrides)


def shape(vocab, hidden, inner, layers, heads, kv_heads, head_dim=None):
    sizes = dict(vocab_size=vocab, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
                 num_attention_heads=heads, num_key_value_heads=kv_heads)
    return sizes | ({"head_dim": head_dim} if head_dim else {})


def rope(local, base, factor=None):
    full = {"rope_type": "default", "rope_theta": base}
    if factor:
        full = {"rope_type": "linear", "rope_theta": base, "factor": factor}
    return {"sliding_attention": {"rope_type": "default", "rope_theta": local}, "full_attention": full}


# Wavelengths of the small heads lie on both sides of its borders.
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
YARN = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 64}

# Each family: grouped heads, head_dim apart from hidden/heads, odd vocabularies, windows shorter than the text.
CHECKPOINTS = {
    "gemma3_grouped": lambda: gemma3(
        1, **shape(97, 48, 80, 7, 6, 2, 10), query_pre_attn_scalar=10, sliding_window=5, sliding_window_pattern=3,
        rope_parameters=rope(10_000.0, 1_000_000.0, 8.0)),
    # The same as transformers 4 wrote it.
    "gemma3_old": lambda: CHECKPOINTS["gemma3_grouped"](),
    # A head of its own, biases, a final soft cap, one key head, many shards.
    "gemma3_untied": lambda: gemma3(
        2, **shape(131, 40, 72, 3, 5, 1, 6), query_pre_attn_scalar=7, sliding_window=3, sliding_window_pattern=2,
        attention_bias=True, final_logit_softcapping=5.0, tie_word_embeddings=False,
        rope_parameters=rope(8_000.0, 500_000.0)),
    # A bfloat16 file, as many keys as queries, layer types in an order of their own.
    "gemma3_narrow": lambda: gemma3(
        3, **shape(201, 64, 96, 4, 4, 4, 16), query_pre_attn_scalar=13, sliding_window=4,
        layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters=rope(12_000.0, 100_000.0, 4.0)).to(torch.bfloat16),
    "gemma_wide": lambda: gemma(4, **shape(89, 36, 56, 3, 3, 1, 14)),
    "gemma_bias": lambda: gemma(5, **shape(103, 40, 64, 2, 4, 4, 6), attention_bias=True),
    "gemma_untied": lambda: gemma(6, **shape(61, 32, 40, 4, 4, 2, 8), tie_word_embeddings=False, hidden_act="gelu"),
    # Caps that the scores reach.
    "gemma2_grouped": lambda: gemma2(
        19, **shape(95, 48, 64, 4, 6, 2, 10), query_pre_attn_scalar=8, sliding_window=5, attn_logit_softcapping=2.0,
        final_logit_softcapping=6.0),
    "gemma2_plain": lambda: gemma2(
        20, **shape(87, 36, 48, 3, 3, 3, 12), sliding_window=30, attn_logit_softcapping=None,
        final_logit_softcapping=None),
    "gemma2_types": lambda: gemma2(
        21, **shape(69, 40, 48, 3, 4, 1, 14), sliding_window=11, attn_logit_softcapping=1.0, attention_bias=True,
        layer_types=["full_attention", "sliding_attention", "sliding_attention"]),
    "gpt2_plain": lambda: gpt2(22, vocab_size=91, n_embd=36, n_layer=3, n_head=3),
    "gpt2_inner": lambda: gpt2(23, vocab_size=77, n_embd=40, n_layer=2, n_head=8, n_inner=52),
    # As its authors published it: names without the root, and the mask among them.
    "gpt2_old": lambda: CHECKPOINTS["gpt2_plain"](),
    "gptj_part": lambda: gptj(24, vocab_size=93, n_embd=48, n_layer=3, n_head=4, rotary_dim=6),
    "gptj_whole": lambda: gptj(25, vocab_size=65, n_embd=32, n_layer=2, n_head=4, rotary_dim=8, n_inner=44),
    "gptj_one": lambda: gptj(26, vocab_size=57, n_embd=24, n_layer=4, n_head=1, rotary_dim=10),
    "griffin_plain": lambda: griffin(
        27, vocab_size=99, hidden_size=36, intermediate_size=120, num_hidden_layers=4, num_attention_heads=3,
        attention_window_size=7),
    "griffin_wide": lambda: griffin(
        28, vocab_size=71, hidden_size=32, intermediate_size=80, num_hidden_layers=5, num_attention_heads=4,
        num_key_value_heads=1, attention_window_size=20, lru_width=48, logits_soft_cap=5.0,
        block_types=["attention", "recurrent"]),
    "griffin_conv": lambda: griffin(
        29, vocab_size=63, hidden_size=40, intermediate_size=96, num_hidden_layers=3, num_attention_heads=5,
        num_key_value_heads=5, attention_window_size=12, conv1d_width=3),
    "llama_grouped": lambda: llama(7, **shape(101, 48, 80, 3, 6, 2), rope_parameters=LLAMA3, rms_norm_eps=1e-5),
    "llama_tied": lambda: llama(8, **shape(67, 32, 48, 4, 4, 1, 12), tie_word_embeddings=True, rope_parameters=YARN),
    "llama_biases": lambda: llama(
        9, **shape(83, 40, 56, 2, 4, 4), attention_bias=True, mlp_bias=True,
        rope_parameters={"rope_type": "linear", "rope_theta": 5_000.0, "factor": 2.0}),
    # Most of the sequences are longer than the positions that the base stands for.
    "llama_dynamic": lambda: llama(
        30, **shape(85, 36, 48, 2, 6, 2), max_position_embeddings=20,
        rope_parameters={"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 3.0}),
    # transformers 4 and the fields of Llama 3.2.
    "llama_old": lambda: CHECKPOINTS["llama_grouped"](),
    "mistral_window": lambda: mistral(10, **shape(109, 48, 64, 3, 6, 2), sliding_window=7),
    "mistral_whole": lambda: mistral(11, **shape(71, 32, 48, 2, 4, 4, 10), sliding_window=None),
    "mistral_theta": lambda: mistral(
        12, **shape(79, 40, 48, 3, 4, 1), sliding_window=40,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0}),
    "qwen2_tied": lambda: qwen2(13, **shape(113, 48, 64, 3, 6, 2), tie_word_embeddings=True),
    "qwen2_window": lambda: qwen2(
        14, **shape(73, 40, 56, 4, 4, 4), use_sliding_window=True, sliding_window=6, max_window_layers=2),
    "qwen2_yarn": lambda: qwen2(15, **shape(59, 36, 48, 2, 6, 3), rope_parameters=YARN),
    "qwen3_grouped": lambda: qwen3(16, **shape(107, 48, 64, 3, 6, 2, 10)),
    "qwen3_window": lambda: qwen3(
        17, **shape(127, 32, 40, 4, 4, 1, 14), use_sliding_window=True, sliding_window=9, max_window_layers=1,
        tie_word_embeddings=True),
    "qwen3_bias": lambda: qwen3(18, **shape(53, 40, 48, 2, 5, 5, 8), attention_bias=True),
}


@torch.no_grad()
def logprobs(model, tokens):
    # The last token predicts nothing; with dynamic RoPE its presence alone would change the others.
    logits = model(input_ids=torch.tensor([tokens[:-1]]), use_cache=False).logits[0].float()
    table = torch.log_softmax(logits, dim=-1)
    return table.gather(1, torch.tensor(tokens[1:])[:, None])[:, 0].tolist()


@torch.no_grad()
def greedy(model, tokens, count=12):
    tokens = list(tokens)
    for _ in range(count):
        tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[-count:]


def old_dialect(directory):
    """Rewrites config.json as transformers 4 wrote it, and GPT-2's tensors as OpenAI's files have them."""
    path = directory / "config.json"
    config = json.loads(path.read_text())
    if config["model_type"] == "gpt2":
        file = directory / "model.safetensors"
        tensors = {name.removeprefix("transformer."): tensor for name, tensor in load_file(file).items()}
        for layer in range(config["n_layer"]):
            tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 256, 256)
        save_file(tensors, file, metadata={"format": "pt"})
        return
    parameters = config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype")
    if config["model_type"] == "llama":
        config["rope_theta"] = parameters.pop("rope_theta")
        config["rope_scaling"] = parameters
    else:
        config["rope_theta"] = parameters["full_attention"]["rope_theta"]
        config["rope_local_base_freq"] = parameters["sliding_attention"]["rope_theta"]
        config["rope_scaling"] = {"type": "linear", "factor": parameters["full_attention"]["factor"]}
        del config["layer_types"]
        config["sliding_window_pattern"] = 3
        config["hidden_act"] = "gelu"
        del config["hidden_activation"]
    path.write_text(json.dumps(config))


def write_tokenizer(directory):
    """Letters and the space, so that every vocabulary is large enough."""
    letters = sorted(set("abcdefghijklmnopqrstuvwxyz" + "\u0120"))
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(directory / "tokenizer.json"))
    return tokenizer.encode(PROMPT).ids


def linear_names(model):
    return [name for name, module in model.named_modules()
            if isinstance(module, (torch.nn.Linear, Conv1D)) and name != "lm_head"]


def load(directory, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="eager").eval()


def make(directory):
    reference = {}
    for name, build in CHECKPOINTS.items():
        build().save_pretrained(directory / name, max_shard_size="30KB" if name in SHARDED else "5GB")
        prompt = write_tokenizer(directory / name)
        model = load(directory / name)
        generator = torch.Generator().manual_seed(7)
        sequences = [torch.randint(0, model.config.vocab_size, (n,), generator=generator).tolist() for n in LENGTHS]
        reference[name] = {
            "sequences": sequences,
            "logprobs": [logprobs(model, s) for s in sequences],
            "greedy": [greedy(model, s) for s in sequences if len(s) <= LONGEST_GREEDY],
            "prompt": PROMPT,
            "prompt_greedy": greedy(model, prompt),
            "linears": linear_names(model),
            "parameters": sum(p.numel() for p in model.parameters()),
        }
        narrow = load(directory / name, torch.bfloat16)
        reference[name]["bfloat16"] = [logprobs(narrow, s) for s in sequences]
        if name.endswith("_old"):
            old_dialect(directory / name)
    (directory / "reference.json").write_text(json.dumps(reference))


def score(directory, sequences):
    model = load(directory)
    print(json.dumps([logprobs(model, s) for s in json.loads(pathlib.Path(sequences).read_text())]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    else:
        score(sys.argv[2], sys.argv[3])
