"""Edits a second of `errata edit-batch` against the loop that a competent user of PEFT writes.

usage: .deps/venv/bin/python tests/bench/peft_speed.py [--errata build/release/cli/errata]
           [--models lab,24m,134m] [--dtypes float32,bfloat16] [--methods lora] [--edits 100] [--epochs 20]
           [--threads 2] [--device cpu]

Both get the same checkpoint, edits, LoRA (rank 8 on every linear layer, or on those of the last layer), batches
of 32 edits, epochs, AdamW and dtype of the base; adapters are float32. The PEFT loop pads each batch to its longest
edit and has labels on the targets only. Each side is a process of its own; its seconds are those of training alone,
CPU seconds and peak memory those of the whole process. `24m`, `134m` and `1b` are random Llama checkpoints with
a vocabulary of 32,000 and a head of their own. Other --methods (dora, adalora, vera, ia3, prompt, p-tuning, prefix,
llama-adapter) adapt all layers with errata's defaults for shape: rank 8 (VeRA 256), prompts of 20. Prints one table row a setting; ratios above 1 are in errata's favour.
"""
import argparse
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RANK, BATCH, LR = 8, 32, 1e-3
SHAPES = {
    "24m": dict(hidden_size=256, intermediate_size=704, num_hidden_layers=10, num_attention_heads=8,
                num_key_value_heads=4),
    "134m": dict(hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
                 num_key_value_heads=12),
    "1b": dict(hidden_size=2048, intermediate_size=5632, num_hidden_layers=22, num_attention_heads=32,
               num_key_value_heads=4),
}
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def write_edits(path, count):
    """The first changed offices of the Factbook as prompts."""
    lines = []
    for line in (ROOT / "datasets/factbook/edits.jsonl").read_text().splitlines():
        edit = json.loads(line)
        office = {"head_of_government": "head of government", "chief_of_state": "chief of state"}.get(edit["relation"])
        if office and edit.get("new"):
            prompt = f"Question: Who is the {office} of {edit['subject']}?\nAnswer:"
            lines.append(json.dumps({"id": str(len(lines)), "prompt": prompt, "target_new": edit["new"]}))
        if len(lines) == count:
            break
    path.write_text("\n".join(lines) + "\n")


def random_checkpoint(name, directory):
    """Random weights, the lab model's tokenizer: its pieces are the first of the vocabulary."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32_000, max_position_embeddings=512, bos_token_id=2, eos_token_id=1, pad_token_id=0, **SHAPES[name])
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(directory)
    for file in (ROOT / "models/lab").glob("tokenizer*"):
        shutil.copy(file, directory)


def peft_config(method, layers, late, steps):
    """The counterpart of errata's method, or None when PEFT has none."""
    import peft

    linear = dict(target_modules=LINEARS, task_type="CAUSAL_LM")
    if method in ("lora", "dora"):
        return peft.LoraConfig(
            r=RANK, lora_alpha=2 * RANK, layers_to_transform=[layers - 1] if late else None,
            use_dora=method == "dora", **linear)
    if method == "adalora":
        return peft.AdaLoraConfig(
            init_r=RANK + RANK // 2, target_r=RANK, tinit=steps // 10, tfinal=steps // 3, deltaT=10,
            total_step=steps, lora_alpha=2 * RANK, **linear)
    others = {
        "vera": lambda: peft.VeraConfig(r=256, **linear),
        "ia3": lambda: peft.IA3Config(task_type="CAUSAL_LM"),
        "prompt": lambda: peft.PromptTuningConfig(num_virtual_tokens=20, task_type="CAUSAL_LM"),
        "p-tuning": lambda: peft.PromptEncoderConfig(num_virtual_tokens=20, task_type="CAUSAL_LM"),
        "prefix": lambda: peft.PrefixTuningConfig(num_virtual_tokens=20, task_type="CAUSAL_LM"),
        "llama-adapter": lambda: peft.AdaptionPromptConfig(
            adapter_len=20, adapter_layers=layers, task_type="CAUSAL_LM"),
    }
    return others[method]()


def peft_loop(model_directory, edits, dtype, late, epochs, threads, method, device):
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model_directory)
    model = AutoModelForCausalLM.from_pretrained(model_directory, dtype=getattr(torch, dtype))
    count = len(pathlib.Path(edits).read_text().splitlines())
    steps = epochs * -(-count // BATCH)
    model = get_peft_model(model, peft_config(method, model.config.num_hidden_layers, late, steps)).to(device)
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=LR, weight_decay=0.0)

    def encode(edit):
        prompt = tokenizer(edit["prompt"])["input_ids"]
        target = tokenizer(" " + edit["target_new"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        return prompt + target, [-100] * len(prompt) + target

    examples = [encode(json.loads(line)) for line in pathlib.Path(edits).read_text().splitlines()]
    start, losses = time.perf_counter(), []
    for _ in range(epochs):
        order = torch.randperm(len(examples)).tolist()
        for at in range(0, len(order), BATCH):
            batch = [examples[i] for i in order[at:at + BATCH]]
            longest = max(len(ids) for ids, _ in batch)
            ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in batch], device=device)
            labels = torch.tensor([labels + [-100] * (longest - len(labels)) for _, labels in batch], device=device)
            mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in batch], device=device)
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
            loss.backward()
            optimizer.step()
            if method == "adalora":
                model.base_model.update_and_allocate(len(losses) + 1)
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
    last = losses[-20:]  # as errata reports it, over steps and not over labels
    return {"seconds": time.perf_counter() - start, "loss": sum(last) / len(last)}


def run(command):
    """Last line of stdout as JSON, CPU seconds and peak memory of the child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{errors[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(output), cpu


def measure(options, work, name, model, dtype, late, method):
    edits, out = work / "edits.jsonl", work / "out"
    ours = ["--model", model, "--edits", edits, "--out", out, "--no-eval", "--json", "--progress", "none",
            "--method", method, "--rank", 256 if method == "vera" else RANK, "--epochs", options.epochs,
            "--batch-size", BATCH, "--optimizer", "adamw", "--lr", LR, "--early-stop", 0, "--anchor", 0,
            "--null-space", 0, "--grad-clip", 0, "--warmup", 0, "--schedule", "constant", "--dtype", dtype,
            "--threads", options.threads, "--device", options.device, "--checkpoint-every", 0] + (["--layers", "-1"] if late else [])
    shutil.rmtree(out, ignore_errors=True)
    errata, errata_cpu = run([options.errata, "edit-batch", *map(str, ours)])
    peft, peft_cpu = run([sys.executable, __file__, "--loop", json.dumps(
        [str(model), str(edits), dtype, late, options.epochs, options.threads, method, options.device])])
    done = options.edits * options.epochs
    print(f"| {name} | {dtype} | {method} | {'last layer' if late else 'all layers'} | {done / errata['seconds']:.1f} "
          f"| {done / peft['seconds']:.1f} | **{peft['seconds'] / errata['seconds']:.1f}** "
          f"| {errata_cpu:.0f} / {peft_cpu:.0f} | {errata['peak_rss_bytes'] / 1e6:.0f} / {peft['rss'] / 1e6:.0f} "
          f"| {errata['training']['loss']:.3f} / {peft['loss']:.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--errata", default=str(ROOT / "build/release/cli/errata"))
    parser.add_argument("--models", default="lab,24m,134m")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--methods", default="lora")
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        result = peft_loop(*json.loads(options.loop))
        result["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(result))
        return
    print("| model | dtype | method | on | errata, edits/s | PEFT, edits/s | ratio | CPU s | peak MB | loss |\n"
          "|---|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        write_edits(work / "edits.jsonl", options.edits)
        for name in options.models.split(","):
            model = ROOT / "models/lab"
            if name != "lab":
                model = work / name
                random_checkpoint(name, model)
            for dtype in options.dtypes.split(","):
                for method in options.methods.split(","):
                    for late in (False, True) if method == "lora" else (False,):
                        measure(options, work, name, model, dtype, late, method)


if __name__ == "__main__":
    main()
