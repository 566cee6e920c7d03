"""Writes this directory's reference: adapter-hub adapters of tiny random models, and what they compute.

    make_reference.py      needs adapters 1.3.0, transformers 4.57.6 and torch 2.13.0

For each family a model directory, for each case an adapter directory as `save_adapter(use_safetensors=True)`
writes it, and in reference.json the log-probabilities that the adapters library gives the tokens. Its own
environment: adapters pins a transformers that the other judges do not have.
"""

import json
import os
import shutil
from pathlib import Path

import adapters
import torch
import transformers
from adapters import DoubleSeqBnConfig, ParBnConfig, SeqBnConfig
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTJConfig,
    GPTJForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

HERE = Path(__file__).resolve().parent
TOKENS = [2, 17, 5, 21, 9, 11, 20, 3, 3, 18, 12, 7]
SPECIAL = dict(bos_token_id=2, eos_token_id=1, pad_token_id=0, initializer_range=0.4)
SHAPE = dict(
    vocab_size=24, hidden_size=12, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, max_position_embeddings=32, **SPECIAL)
GPT = dict(vocab_size=24, n_embd=12, n_layer=2, n_head=2, n_positions=32, n_inner=16, **SPECIAL)

MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=5)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=6)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT)),
    "gptj": lambda: GPTJForCausalLM(GPTJConfig(**GPT, rotary_dim=4)),
}

# What the adapters library calls Pfeiffer's, Houlsby's and He's adapters, and ways to vary them.
PFEIFFER, HOULSBY, PARALLEL = SeqBnConfig, DoubleSeqBnConfig, ParBnConfig
CASES = {
    "llama-pfeiffer": lambda: PFEIFFER(reduction_factor=4),
    "llama-houlsby": lambda: HOULSBY(reduction_factor=3),
    "llama-parallel": lambda: PARALLEL(),
    "llama-once-added": lambda: PFEIFFER(
        reduction_factor=5, residual_before_ln=False, original_ln_after=False),
    "llama-attention": lambda: PFEIFFER(
        reduction_factor={"0": 4, "default": 4}, mh_adapter=True, output_adapter=False, dropout=0.3),
    "mistral-houlsby": lambda: HOULSBY(reduction_factor=4, non_linearity="gelu", leave_out=[0]),
    "mistral-parallel": lambda: PARALLEL(reduction_factor=100, mh_adapter=True, scaling="channel"),
    "qwen2-pfeiffer": lambda: PFEIFFER(reduction_factor=2, non_linearity="gelu_new", scaling=0.5),
    "qwen2-houlsby": lambda: HOULSBY(reduction_factor=2),
    "qwen3-parallel": lambda: PARALLEL(reduction_factor=0.5),
    "gpt2-pfeiffer": lambda: PFEIFFER(reduction_factor=4, mh_adapter=True, scaling="learned"),
    "gpt2-parallel": lambda: PARALLEL(mh_adapter=True),
    "gptj-houlsby": lambda: HOULSBY(reduction_factor=4),
    "gptj-parallel": lambda: PARALLEL(mh_adapter=True),
}


def randomise(parameters, size):
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(torch.randn_like(parameter), alpha=size)


def make_models():
    for name, make in MODELS.items():
        torch.manual_seed(3)
        model = make().to(torch.float32).eval()
        randomise(model.parameters(), 0.1)  # biases and norms too
        model.save_pretrained(HERE / "models" / name)
        (HERE / "models" / name / "generation_config.json").unlink(missing_ok=True)


def score(model):
    with torch.no_grad():
        logprobs = torch.log_softmax(model(torch.tensor([TOKENS])).logits[0].float(), -1)
    return [round(logprobs[i, token].item(), 6) for i, token in enumerate(TOKENS[1:])]


def run(name):
    family = name.partition("-")[0]
    model = type(MODELS[family]()).from_pretrained(
        f"models/{family}", dtype=torch.float32, attn_implementation="eager").eval()
    base = score(model)
    adapters.init(model)
    torch.manual_seed(4)
    model.add_adapter("edits", config=CASES[name]())
    randomise([p for key, p in model.named_parameters() if ".adapters.edits." in key], 0.3)
    model.set_active_adapters("edits")
    directory = HERE / "adapters" / name
    directory.mkdir(parents=True)
    model.save_adapter(directory, "edits", use_safetensors=True)
    if name != "llama-pfeiffer":  # one keeps the base's own head, as the library writes it
        for head in ("model_head.safetensors", "head_config.json"):
            (directory / head).unlink()
    return {"base": base, "adapted": score(model.eval())}


def main():
    os.chdir(HERE)  # the library writes the model's path into its configs
    for part in ("models", "adapters"):
        shutil.rmtree(HERE / part, ignore_errors=True)
    make_models()
    reference = {
        "made_with": {"adapters": adapters.__version__, "transformers": transformers.__version__,
                      "torch": torch.__version__.partition("+")[0]},
        "tokens": TOKENS,
        "logprobs": {name: run(name) for name in CASES},
    }
    (HERE / "reference.json").write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8")


main()
