"""The judge of the Gemma 3 decoder: transformers.

usage: gemma3_reference.py make DIRECTORY    writes random checkpoints and reference.json
       gemma3_reference.py score MODEL IN    prints log-probabilities as transformers computes them

Both use float32 on the CPU. reference.json: name -> {"sequences", "logprobs", "greedy"}; logprobs[i][k]
is log p(token k + 1 | tokens 0..k) of sequence i; greedy[i] continues sequence i by 12 tokens.
"""
import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig

LENGTHS = [2, 5, 9, 17, 23, 23]


def checkpoint(seed, **overrides):
    """A model whose weights are large enough that every part of the architecture shows."""
    config = Gemma3TextConfig(**overrides)
    torch.manual_seed(seed)
    model = Gemma3ForCausalLM(config).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3 if parameter.dim() == 1 else 0.15)
    return model


def rope(local, base, factor=None):
    full = {"rope_type": "default", "rope_theta": base}
    if factor:
        full = {"rope_type": "linear", "rope_theta": base, "factor": factor}
    return {"sliding_attention": {"rope_type": "default", "rope_theta": local}, "full_attention": full}


def grouped():
    """Three queries a key, head_dim apart from hidden/heads, window shorter than the text, linear RoPE."""
    return checkpoint(
        1, vocab_size=97, hidden_size=48, intermediate_size=80, num_hidden_layers=7, num_attention_heads=6,
        num_key_value_heads=2, head_dim=10, query_pre_attn_scalar=10, sliding_window=5, sliding_window_pattern=3,
        max_position_embeddings=256, rope_parameters=rope(10_000.0, 1_000_000.0, 8.0))


def untied():
    """A head of its own, biases, a final soft cap, one key head, many shards."""
    return checkpoint(
        2, vocab_size=131, hidden_size=40, intermediate_size=72, num_hidden_layers=3, num_attention_heads=5,
        num_key_value_heads=1, head_dim=6, query_pre_attn_scalar=7, sliding_window=3, sliding_window_pattern=2,
        max_position_embeddings=256, attention_bias=True, final_logit_softcapping=5.0, tie_word_embeddings=False,
        rope_parameters=rope(8_000.0, 500_000.0))


def narrow():
    """A bfloat16 file, as many keys as queries, layer types in an order of their own."""
    model = checkpoint(
        3, vocab_size=201, hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, head_dim=16, query_pre_attn_scalar=13, sliding_window=4, max_position_embeddings=256,
        layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters=rope(12_000.0, 100_000.0, 4.0))
    return model.to(torch.bfloat16)


@torch.no_grad()
def logprobs(model, tokens):
    logits = model(input_ids=torch.tensor([tokens])).logits[0].float()
    table = torch.log_softmax(logits[:-1], dim=-1)
    return table.gather(1, torch.tensor(tokens[1:])[:, None])[:, 0].tolist()


@torch.no_grad()
def greedy(model, tokens, count=12):
    tokens = list(tokens)
    for _ in range(count):
        tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[-count:]


def old_dialect(directory):
    """Rewrites config.json as transformers 4 wrote it."""
    path = directory / "config.json"
    config = json.loads(path.read_text())
    parameters = config.pop("rope_parameters")
    config["rope_theta"] = parameters["full_attention"]["rope_theta"]
    config["rope_local_base_freq"] = parameters["sliding_attention"]["rope_theta"]
    config["rope_scaling"] = {"type": "linear", "factor": parameters["full_attention"]["factor"]}
    del config["layer_types"]
    config["sliding_window_pattern"] = 3
    config["torch_dtype"] = config.pop("dtype")
    config["hidden_act"] = "gelu"
    del config["hidden_activation"]
    path.write_text(json.dumps(config))


def make(directory):
    reference = {}
    for name, build, shard in [("grouped", grouped, "5GB"), ("old", grouped, "5GB"), ("untied", untied, "30KB"),
                               ("narrow", narrow, "5GB")]:
        build().save_pretrained(directory / name, max_shard_size=shard)
        model = AutoModelForCausalLM.from_pretrained(
            directory / name, dtype=torch.float32, attn_implementation="eager").eval()
        generator = torch.Generator().manual_seed(7)
        sequences = [torch.randint(0, model.config.vocab_size, (n,), generator=generator).tolist() for n in LENGTHS]
        reference[name] = {
            "sequences": sequences,
            "logprobs": [logprobs(model, s) for s in sequences],
            "greedy": [greedy(model, s) for s in sequences],
        }
        if name == "old":
            old_dialect(directory / name)
    (directory / "reference.json").write_text(json.dumps(reference))


def score(directory, sequences):
    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager").eval()
    assert type(model).__name__ == "Gemma3ForCausalLM", type(model)
    print(json.dumps([logprobs(model, s) for s in json.loads(pathlib.Path(sequences).read_text())]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    else:
        score(sys.argv[2], sys.argv[3])
