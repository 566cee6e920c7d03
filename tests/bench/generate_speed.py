"""Tokens a second of errata's generation against transformers' on the same random checkpoint.

usage: .deps/venv/bin/python tests/bench/generate_speed.py [--program build/bench/tests/bench/generate_speed]
           [--dtypes float32,bfloat16] [--threads 2] [--repeats 3] [--rounds 1] [--cpu] [--only answers,few-shot]

A random Llama of hidden size 768 and 12 layers with 32,000 pieces (110M parameters, tied head). `prefill`: prompts of
512 tokens, one new token. `decode`: prompts of 16 tokens, 32 new ones, no end token. `answers`: 256 questions of 8 to
40 tokens, at most 32 new ones, a tenth of the vocabulary ends an answer; `few-shot`: the same after 64 tokens that all
share. transformers gets questions in batches of 32, sorted by length and padded on the left. Greedy. Both sides run
once to warm up and then REPEATS times in a process of their own, in turns for ROUNDS rounds; the fastest counts. With
--cpu seconds are those of the processor, for a machine that others use (with --threads 1: threads that wait for each
other count, too). Prints one table row a setting;
ratios above 1 are in errata's favour. `share` is the matrix products of errata's prefill against what the machine reaches in
one large product of that dtype.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS, HIDDEN, INNER, VOCAB = 12, 768, 2048, 32_000
BATCH = 32


def ids(count, generator):
    return [generator.randrange(1000) for _ in range(count)]


def fixed(prompts, length, new):
    generator = random.Random(1)
    return {"prompts": [ids(length, generator) for _ in range(prompts)], "max_new_tokens": new, "eos": []}


def questions(shared):
    generator = random.Random(2)
    begin = ids(shared, generator)
    prompts = [begin + ids(generator.randint(8, 40), generator) for _ in range(256)]
    return {"prompts": prompts, "max_new_tokens": 32, "eos": list(range(0, VOCAB, 10))}


SETTINGS = [("prefill", fixed(1, 512, 1)), ("prefill", fixed(32, 512, 1)), ("decode", fixed(1, 16, 32)),
            ("decode", fixed(32, 16, 32)), ("answers", questions(0)), ("few-shot", questions(64))]


def random_checkpoint(directory):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=12, max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=None, pad_token_id=None)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(directory)


def transformers_seconds(directory, dtype, file, repeats, cpu):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype)).eval()
    work = json.loads(pathlib.Path(file).read_text())
    prompts = sorted(work["prompts"], key=len)
    seconds = []
    now = time.process_time if cpu else time.perf_counter
    with torch.no_grad():
        for _ in range(repeats + 1):
            start = now()
            for at in range(0, len(prompts), BATCH):
                batch = prompts[at:at + BATCH]
                longest = max(map(len, batch))
                rows = torch.tensor([[0] * (longest - len(p)) + p for p in batch])
                mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in batch])
                model.generate(rows, attention_mask=mask, max_new_tokens=work["max_new_tokens"], do_sample=False,
                               pad_token_id=0, eos_token_id=work["eos"] or None)
            seconds.append(now() - start)
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
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--only", help="kinds, separated by commas")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        kind, *rest = json.loads(options.side)
        print(json.dumps({"rate": matmul_rate(*rest)} if kind == "matmul" else
                         {"seconds": transformers_seconds(*rest)}))
        return
    print("| | dtype | prompts | errata, tokens/s | transformers, tokens/s | ratio | share |\n|---|---|---|---|---|---|---|",
          flush=True)  # new tokens, or those of the prompts for prefill
    products = 2 * LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER)  # a token, without the head
    with tempfile.TemporaryDirectory() as folder:
        random_checkpoint(folder)
        for dtype in options.dtypes.split(","):
            rate = child([sys.executable, __file__, "--side", json.dumps(["matmul", dtype])], options.threads)["rate"]
            for kind, work in SETTINGS:
                if options.only and kind not in options.only.split(","):
                    continue
                file = pathlib.Path(folder) / "work.json"
                file.write_text(json.dumps(work))
                fast, slow = [], []
                for _ in range(options.rounds):
                    ours = child([options.program, folder, dtype, file, options.repeats], options.threads)
                    fast += ours["cpu_seconds" if options.cpu else "seconds"]
                    slow += child([sys.executable, __file__, "--side", json.dumps(
                        ["transformers", folder, dtype, str(file), options.repeats, options.cpu])],
                        options.threads)["seconds"]
                fast, slow = min(fast), min(slow)
                tokens = sum(map(len, work["prompts"])) if kind == "prefill" else ours["tokens"]
                share = f"{tokens / fast * products / rate:.0%}" if kind == "prefill" else ""
                print(f"| {kind} | {dtype} | {len(work['prompts'])} | {tokens / fast:.0f} | {tokens / slow:.0f} "
                      f"| **{slow / fast:.1f}** | {share} |", flush=True)


if __name__ == "__main__":
    main()
