"""Tokens a second of errata's generation against transformers' on the same random checkpoint.

usage: .deps/venv/bin/python tests/bench/generate_speed.py [--program build/bench/tests/bench/generate_speed]
           [--dtypes float32,bfloat16] [--threads 2] [--repeats 3]

A random Llama of hidden size 768 and 12 layers with 32,000 pieces (110M parameters, tied head). `prefill`: prompts of
512 tokens, one new token. `decode`: prompts of 16 tokens, 32 new ones. Greedy, no end token. Both sides run once to
warm up and then REPEATS times in a process of their own; the fastest counts. Prints one table row a setting; ratios
above 1 are in errata's favour. `share` is the matrix products of errata's prefill against what the machine reaches in
one large product of that dtype.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS, HIDDEN, INNER, VOCAB = 12, 768, 2048, 32_000
SETTINGS = [("prefill", 1, 512, 1), ("prefill", 32, 512, 1), ("decode", 1, 16, 32), ("decode", 32, 16, 32)]


def random_checkpoint(directory):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=12, max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=None, pad_token_id=None)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(directory)


def transformers_seconds(directory, dtype, prompts, length, count, repeats):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype)).eval()
    ids = torch.randint(0, 1000, (prompts, length), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    seconds = []
    with torch.no_grad():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            out = model.generate(ids, attention_mask=mask, max_new_tokens=count, do_sample=False, pad_token_id=0)
            seconds.append(time.perf_counter() - start)
            assert out.shape == (prompts, length + count)
    return seconds[1:]


def matmul_rate(dtype):
    """Operations a second of a large product."""
    import torch

    a = torch.randn(2048, 2048).to(getattr(torch, dtype))
    b = torch.randn(2048, 2048).to(getattr(torch, dtype))
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best


def child(arguments, threads):
    result = subprocess.run(
        list(map(str, arguments)), env={**os.environ, "OMP_NUM_THREADS": str(threads)}, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{arguments} failed:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/bench/tests/bench/generate_speed"))
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        kind, *rest = json.loads(options.side)
        print(json.dumps({"rate": matmul_rate(*rest)} if kind == "matmul" else
                         {"seconds": transformers_seconds(*rest)}))
        return
    print("| | dtype | prompts | errata, tokens/s | transformers, tokens/s | ratio | share |\n|---|---|---|---|---|---|---|",
          flush=True)
    products = 2 * LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER)  # a token, without the head
    with tempfile.TemporaryDirectory() as folder:
        random_checkpoint(folder)
        for dtype in options.dtypes.split(","):
            rate = child([sys.executable, __file__, "--side", json.dumps(["matmul", dtype])], options.threads)["rate"]
            for kind, prompts, length, count in SETTINGS:
                ours = child([options.program, folder, dtype, prompts, length, count, options.repeats], options.threads)
                theirs = child([sys.executable, __file__, "--side", json.dumps(
                    ["transformers", folder, dtype, prompts, length, count, options.repeats])], options.threads)
                fast, slow = min(ours["seconds"]), min(theirs["seconds"])
                tokens = prompts * (length if kind == "prefill" else count)
                share = f"{tokens / fast * products / rate:.0%}" if kind == "prefill" else ""
                print(f"| {kind} | {dtype} | {prompts} | {tokens / fast:.0f} | {tokens / slow:.0f} "
                      f"| **{slow / fast:.1f}** | {share} |", flush=True)


if __name__ == "__main__":
    main()
